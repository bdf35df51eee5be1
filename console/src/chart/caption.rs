//! What a screen reader says of a picture.

/// The title and the description of a picture. The description says what the picture shows, numbers included: not everybody sees it.
#[derive(Clone, Copy, Debug)]
pub struct Caption<'a> {
    /// An id that no other picture on the page has; the ids of title and description begin with it.
    pub id: &'a str,
    /// The title.
    pub title: &'a str,
    /// The description; none where it is empty.
    pub desc: &'a str,
}
