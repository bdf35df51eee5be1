//! The pages of the console, as HTML, SVG and JSON. Pure: what is seen of releases, figures and traces comes in, pages go out.

pub mod chart;
pub mod figures;
pub mod frame;
pub mod graph;
pub mod number;
pub mod pages;
pub mod past;
pub mod pasted;
pub mod promql;
pub mod requests;
pub mod shown;
pub mod snapshot;
pub mod stats;
pub mod trace;
pub mod verdict;
