//! A request that was pasted: a curl command of bash or of Windows, the text of an HTTP/1 request, a HAR, or what a browser copies as fetch.
//!
//! Nothing is sent anywhere, and nothing of the text is run: a variable of a shell is an error and no empty text.
//!
//! ```
//! use serin_console::pasted::read;
//!
//! let found = read("curl 'https://shop.example.com/cart?x=1' -H 'Cookie: user=anna' --compressed")?;
//! assert_eq!((found.method.as_str(), found.url.target.as_str()), ("GET", "/cart?x=1"));
//! assert_eq!(found.headers, [("cookie".to_owned(), "user=anna".to_owned())]);
//! # Ok::<(), serin_console::pasted::PastedError>(())
//! ```

pub mod command;
pub mod curl;
pub mod fetch;
pub mod form;
pub mod har;
pub mod options;
pub mod raw;
pub mod request;
pub mod shell;
pub mod url;
pub mod windows;

pub use form::read;
pub use request::{Pasted, PastedError};
pub use url::Url;
