internal import Glibc
internal import VHDResyncCommand

exit(VHDResync.run(arguments: CommandLine.arguments))
