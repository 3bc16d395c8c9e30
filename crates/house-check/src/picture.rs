//! The picture of the crates in ARCHITECTURE.md: who imports whom, in layers, as text. A crate stands in the layer above the highest
//! that it imports, so that every import points down.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::finding::{Finding, Unreadable};
use crate::workspace::Workspace;

const BEGIN: &str = "<!-- picture of the crates: begin (house-check --draw writes it) -->\n";
const END: &str = "<!-- picture of the crates: end -->\n";

/// The picture.
pub fn draw(workspace: &Workspace) -> String {
    let layers = layers(workspace);
    let width = workspace.crates.iter().map(|one| one.name.len()).max().unwrap_or_default();
    let highest = layers.values().max().copied().unwrap_or_default();
    let mut text = "```text\n".to_owned();
    for layer in (0..=highest).rev() {
        for (number, one) in
            workspace.crates.iter().filter(|one| layers[one.name.as_str()] == layer).enumerate()
        {
            let head = if number == 0 { format!("{layer}") } else { " ".to_owned() };
            let imports: Vec<&str> = one.imports.iter().map(String::as_str).collect();
            let arrow = if imports.is_empty() { "" } else { "──▶ " };
            let line = format!("{head} │ {:width$} {arrow}{}", one.name, imports.join(" "));
            let _ = writeln!(text, "{}", line.trim_end());
        }
        let _ = write!(text, "{}", if layer > 0 { "──┼─\n" } else { "" });
    }
    text + "```\n"
}

/// How many imports lie below each crate on the longest way down.
fn layers(workspace: &Workspace) -> BTreeMap<&str, usize> {
    let mut layers: BTreeMap<&str, usize> =
        workspace.crates.iter().map(|one| (one.name.as_str(), 0)).collect();
    // cargo refuses circles, so each round settles at least one more layer.
    for _ in &workspace.crates {
        for one in &workspace.crates {
            let below = one.imports.iter().filter_map(|name| layers.get(name.as_str()));
            let layer = below.max().map_or(0, |below| below + 1);
            layers.insert(&one.name, layer);
        }
    }
    layers
}

/// The page with `picture` between the two marks.
pub fn replace(page: &str, picture: &str) -> Result<String, Unreadable> {
    let (before, after) = around(page).ok_or_else(|| {
        Unreadable::new("ARCHITECTURE.md", format!("the marks of the picture are missing:\n{BEGIN}{END}"))
    })?;
    Ok(format!("{before}{BEGIN}{picture}{END}{after}"))
}

fn around(page: &str) -> Option<(&str, &str)> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some((before, after))
}

/// A finding when the page has another picture than the one that would be drawn.
pub fn check(page: &str, workspace: &Workspace) -> Option<Finding> {
    let drawn = replace(page, &draw(workspace));
    let message = match drawn {
        Ok(drawn) if drawn == page => return None,
        Ok(_) => "the picture of the crates is not what `cargo metadata` says: run `.ci/cargo run -p house-check -- --draw`".to_owned(),
        Err(error) => error.to_string(),
    };
    Some(Finding { key: "picture".to_owned(), place: "ARCHITECTURE.md".to_owned(), message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::tests::workspace;

    #[test]
    fn every_import_points_down() {
        let small =
            workspace(&[("low", &[]), ("middle", &["low"]), ("other", &[]), ("top", &["low", "middle"])]);
        let expected =
            "```text\n2 │ top    ──▶ low middle\n──┼─\n1 │ middle ──▶ low\n──┼─\n0 │ low\n  │ other\n```\n";
        assert_eq!(draw(&small), expected);
    }

    #[test]
    fn a_picture_that_is_not_true_is_told_and_replaced() {
        let before = workspace(&[("low", &[]), ("top", &["low"])]);
        let after = workspace(&[("low", &[]), ("top", &[])]);
        let page = replace(&format!("before\n{BEGIN}{END}after\n"), &draw(&before)).unwrap();
        assert!(check(&page, &before).is_none());
        assert!(check(&page, &after).unwrap().message.contains("--draw"));
        let page = replace(&page, &draw(&after)).unwrap();
        assert!(check(&page, &after).is_none());
        assert!(page.starts_with("before\n") && page.ends_with("after\n"), "{page}");
        assert!(check("no marks", &after).is_some());
    }
}
