//! The pages of the console, as HTML, SVG and JSON. Pure: what is seen of releases, figures and traces comes in, pages go out.

pub mod trace;
