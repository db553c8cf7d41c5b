import Glibc
import Storage
import Testing
import Transport

struct StandardStreamsTests {
    @Test("A process's streams are a connection into which nothing strays")
    func take() async {
        await #expect(processExitsWith: .success) {
            let (input, output) = (try ConnectionKind.makePipe(), try ConnectionKind.makePipe())
            dup2(input.0, 0)
            dup2(output.1, 1)
            close(output.1)
            let connection = StandardStreams.take()
            let other = DescriptorConnection(
                reading: output.0, writing: input.1, peerName: "other")

            print("stray")
            fflush(nil)
            try connection.send([1, 2, 3])
            try other.send([4, 5])
            try #require(try connection.receive(exactly: 2) == [4, 5])
            try #require(readLine() == nil)
            connection.close()
            try #require(try other.receive(exactly: 100) == [1, 2, 3])
        }
    }
}
