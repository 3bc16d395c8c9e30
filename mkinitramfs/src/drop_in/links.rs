//! Where the symbolic links of a drop-in lead, in the initramfs and never on this machine.

use crate::contents::{Contents, Source};
use fault::Error;

/// As many links one behind the other as the kernel follows (MAXSYMLINKS of linux/namei.h).
const MOST_LINKS: usize = 40;

/// Whether a relative target stays inside the initramfs. One from `/` on does: that is the initramfs's own root.
///
/// # Errors
/// It has more `..` than there are folders above the link.
pub(super) fn check_target(path: &str, target: &str) -> Result<(), Error> {
    let mut depth = path.matches('/').count();
    for part in target.split('/').take_while(|_| !target.starts_with('/')) {
        let deeper = if matches!(part, "" | ".") { depth } else { depth + 1 };
        let next = if part == ".." { depth.checked_sub(1) } else { Some(deeper) };
        depth = next.ok_or_else(|| {
            Error::new("", format!("points to '{}', out of the initramfs", target.escape_debug()))
                .remedy("write the target from / on, the root of the initramfs")
        })?;
    }
    Ok(())
}

/// Where the path `path` leads when every link on the way is followed: a path again. What is there need not be: other things come later.
///
/// # Errors
/// Links lead to each other in a circle.
pub(super) fn end(contents: &Contents, path: &str) -> Result<String, Error> {
    let parts = |text: &str| text.split('/').rev().map(str::to_owned).collect::<Vec<_>>();
    let (mut place, mut open) = (Vec::<String>::new(), parts(path));
    let mut followed = 0;
    while let Some(part) = open.pop() {
        match part.as_str() {
            "" | "." => continue,
            ".." => drop(place.pop()),
            _ => place.push(part),
        }
        let Some(Source::Link(target)) = contents.get(&place.join("/")).map(|entry| &entry.source) else {
            continue;
        };
        followed += 1;
        if followed > MOST_LINKS {
            return Err(Error::new("", "is a link that leads to itself").remedy("let it point to a file"));
        }
        place.pop();
        if target.starts_with('/') {
            place.clear();
        }
        open.extend(parts(target));
    }
    Ok(place.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_may_go_up_to_the_root_and_no_further() {
        for (path, target) in
            [("a/b/c", "../../x"), ("a", "b/../c"), ("a", "/../x"), ("a", "."), ("a/b", "..")]
        {
            assert!(check_target(path, target).is_ok(), "{path} -> {target}");
        }
        for (path, target) in [("a", ".."), ("a/b", "../../x"), ("a", "b/../../c"), ("a/b", ".././..")] {
            assert!(check_target(path, target).is_err(), "{path} -> {target}");
        }
    }

    #[test]
    fn circles_are_found_and_chains_end() {
        let mut contents = Contents::default();
        let links = [
            ("a", "b"),
            ("b", "/c/d"),
            ("c/d", "../a"),
            ("x", "y"),
            ("y", "/nowhere"),
            ("up", "up2/z"),
            ("up2", "."),
        ];
        for (path, target) in links {
            contents.add(path, 0o777, Source::Link(target.to_owned())).unwrap();
        }
        for (path, expected) in [
            ("a", None),
            ("b", None),
            ("c/d", None),
            ("x", Some("nowhere")),
            ("y", Some("nowhere")),
            ("up", Some("z")),
            ("/x/below", Some("nowhere/below")),
            ("c/../no/link", Some("no/link")),
        ] {
            assert_eq!(end(&contents, path).ok().as_deref(), expected, "{path}");
        }
    }
}
