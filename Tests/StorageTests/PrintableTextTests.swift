import Storage
import Testing

struct PrintableTextTests {
    @Test("Control characters are written out, everything else stays")
    func controlCharacters() {
        #expect("/a b/ü".printable == "/a b/ü")
        #expect("a\n\u{1B}[31m\u{9B}".printable == "a\\u{a}\\u{1b}[31m\\u{9b}")
    }
}
