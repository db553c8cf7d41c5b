/// A text taken apart into words, as rsync does with its remote shell: words end at spaces and tabs,
/// and quotes of either kind keep what is between them together. Two of the same kind within quotes
/// stand for one. A backslash means nothing.
package enum CommandWords {
    /// - Returns: nil where a quote does not end.
    package static func split(_ text: String) -> [String]? {
        var words: [String] = []
        var word: String?
        var quote: Character?
        var rest = text[...]
        while let character = rest.popFirst() {
            if let open = quote {
                if character != open {
                    word = (word ?? "") + String(character)
                } else if rest.first == open {
                    rest.removeFirst()
                    word = (word ?? "") + String(open)
                } else {
                    quote = nil
                }
            } else if character == "'" || character == "\"" {
                quote = character
                word = word ?? ""
            } else if character == " " || character == "\t" {
                if let ended = word { words.append(ended) }
                word = nil
            } else {
                word = (word ?? "") + String(character)
            }
        }
        if let word { words.append(word) }
        return quote == nil ? words : nil
    }
}
