//! The words of a command, as a shell gives them to the program.

/// A word with its place: how many characters are before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The word without its quotes.
    pub text: String,
    /// The characters before it in the whole text.
    pub at: usize,
}

/// The words of the first command, and whether others follow it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The words, the program's name first.
    pub words: Vec<Word>,
    /// Whether another command follows.
    pub more: bool,
}

/// Why a text is not a command: the characters before the place, and `what is wrong; what to do`.
pub type Wrong = (usize, String);
