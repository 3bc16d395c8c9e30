//! The boot as a chart: in a terminal, and as SVG.

mod scale;
mod stages;
mod svg;
mod terminal;
mod words;

pub use svg::draw as svg;
pub use terminal::{Style, draw as terminal};
