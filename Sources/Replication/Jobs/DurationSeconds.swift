extension Duration {
    /// In seconds. Good to a microsecond for a year.
    package var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }

    /// In seconds, rounded to milliseconds, as the JSON result has it.
    package var roundedSeconds: Double { (seconds * 1000).rounded() / 1000 }
}
