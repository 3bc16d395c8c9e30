//! The text of `--help`, with what `argh` does not know of.

/// How `argh` shows its own option.
const ARGH: &str = "  --help, help      display usage information";
const OWN: &str = "  -h, --help        show this text\n  -V, --version     show the version";

/// The text with all that is understood.
pub(crate) fn complete(text: &str) -> String {
    text.trim_end().replace(ARGH, OWN)
}
