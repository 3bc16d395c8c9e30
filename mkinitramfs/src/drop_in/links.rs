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

/// Whether following the link at `path` comes to an end. What it leads to need not be there: other things come later.
///
/// # Errors
/// Links lead to each other in a circle.
pub(super) fn check_end(contents: &Contents, path: &str) -> Result<(), Error> {
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
    Ok(())
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
        for (path, ends) in
            [("a", false), ("b", false), ("c/d", false), ("x", true), ("y", true), ("up", true)]
        {
            assert_eq!(check_end(&contents, path).is_ok(), ends, "{path}");
        }
    }
}
