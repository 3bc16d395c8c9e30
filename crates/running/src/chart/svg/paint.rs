//! Colours, and text as XML has it.

use boot_report::reading::Layer;

/// The colours of bars stand on white and on black.
pub(super) const STYLE: &str = "
:root{color-scheme:light dark}
text{font:11px system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;fill:#1d232b}
.h1{font-size:22px;font-weight:650}.h2{font-size:14px}.small{font-size:12px}
.stage{font-size:12px;font-weight:600}.time{font-size:12px;text-anchor:end;fill:#5c6773}
.tick{text-anchor:middle;fill:#5c6773}.faint{fill:#5c6773}.before{text-anchor:end}.inside{fill:#fff}.ink-bad{fill:#b3261e}
.page{fill:#fff}.band{fill:#f4f6f9}.grid{stroke:#dfe4ea}.alarm{fill:#fdf1ef;stroke:#e9b8b2}.mild{fill:#fdf8ea;stroke:#e5d3a1}
.machine{fill:#7a6fd0}.search{fill:#b9770e}.check{fill:#168374}.check-only{fill:#4f9c5a}.stack{fill:#2f73c4}.other{fill:#77818d}.bad{fill:#d0342c}
.bar:hover{opacity:.75}
@media(prefers-color-scheme:dark){
text{fill:#e4e8ed}.time,.tick,.faint{fill:#98a4b2}.inside{fill:#fff}.ink-bad{fill:#ff8a80}
.page{fill:#12171d}.band{fill:#181f27}.grid{stroke:#2b343f}.alarm{fill:#2a1a1a;stroke:#6b3733}.mild{fill:#262114;stroke:#5e5229}
}
";

/// The class of a stage: what kind of work it is.
pub(super) fn colour(stage: &str) -> &'static str {
    let about = |words: &[&str]| words.iter().any(|word| stage.contains(word));
    if about(&["module", "initramfs", "early"]) {
        "machine"
    } else if about(&["find", "medium", "profile"]) {
        "search"
    } else if about(&["image", "verity", "check"]) {
        "check"
    } else if about(&["layer", "root", "state", "stack"]) {
        "stack"
    } else {
        "other"
    }
}

/// The class of a layer: how it was verified.
pub(super) fn verified_colour(layer: &Layer) -> &'static str {
    match (layer.verified.as_str(), layer.corrects_errors) {
        ("verity", true) => "check",
        ("verity", false) => "check-only",
        ("digest", _) => "stack",
        _ => "search",
    }
}

/// Text as XML 1.0 has it: its own signs are escaped, and what it forbids becomes U+FFFD.
pub(super) fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push('\n'),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_is_escaped() {
        assert_eq!(escape("<a b=\"&\">\x1b\u{ffff}"), "&lt;a b=&quot;&amp;&quot;&gt;\u{fffd}\u{fffd}");
    }

    #[test]
    fn stages_have_colours() {
        let stages = ["early mounts", "load modules", "find the store", "medium", "open images", "layers"];
        assert_eq!(stages.map(colour), ["machine", "machine", "search", "search", "check", "stack"]);
        assert_eq!(colour("check images"), "check");
        assert_eq!(colour("whatever"), "other");
    }
}
