// All of the library is the C interface. This target is how it is linked: Package.swift says why.
internal import VHDResyncABI
