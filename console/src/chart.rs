//! Pictures of figures as SVG, made by the server: they are there without JavaScript, and they are text that tests compare.
//!
//! Each has a `viewBox` and neither width nor height, so that it fits where it stands; classes and no colours, so that the style sheet colours
//! light and dark; no `style` attribute, which the pages' Content-Security-Policy refuses; a title and a description for screen readers. The
//! same input gives the same bytes. The table and the legend beside a chart are the page's.
//!
//! Classes: `chart`, then by kind `line`, `sparkline`, `share-bar`, `waterfall`; within: `grid`, `axis`, `tick`, `series` and the class of the
//! series, `mark`, `empty`, `track`, `interval`, `point`, `intended`, `span`, `error`, `label`, `duration`.

pub mod caption;
pub mod line;
pub mod scale;
pub mod share_bar;
pub mod sparkline;
pub mod svg;
pub mod waterfall;

pub use caption::Caption;
pub use line::{Line, Mark, Series, line};
pub use share_bar::{ShareBar, share_bar};
pub use sparkline::sparkline;
pub use waterfall::{Span, waterfall};
