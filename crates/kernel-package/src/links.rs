//! Where links lead, in a package or a folder that shall become the root of a system: never out of it, whatever their targets say.

/// Followed until they end in something else: as many as the kernel follows (path_resolution(7)).
const MOST_FOLLOWED: usize = 40;
/// Bytes of a path or a target: more is for no kernel (PATH_MAX of limits.h). An archive can say anything.
const LONGEST: usize = 4096;

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    Folder,
    File,
    /// With its target, as written.
    Link(String),
    Nothing,
}

/// The end of a path without links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Folder(String),
    File(String),
}

/// Follows `path` from the root, which has no slash before it and none above it; `look` tells what lies at a path in which no folder is a
/// link. `None` when nothing is there, or when links lead to each other.
pub fn follow(path: &str, look: impl Fn(&str) -> Node) -> Option<End> {
    if path.len() > LONGEST {
        return None;
    }
    let mut ahead: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
    let (mut here, mut followed) = (Vec::new(), 0);
    while let Some(name) = ahead.pop() {
        match name.as_str() {
            "" | "." => continue,
            ".." => drop(here.pop()),
            _ => here.push(name),
        }
        if here.is_empty() {
            continue;
        }
        match look(&here.join("/")) {
            Node::Folder => {}
            Node::File if ahead.is_empty() => return Some(End::File(here.join("/"))),
            Node::Link(target) if followed < MOST_FOLLOWED && target.len() <= LONGEST => {
                followed += 1;
                match target.starts_with('/') {
                    true => here.clear(),
                    false => drop(here.pop()),
                }
                ahead.extend(target.rsplit('/').map(str::to_owned));
            }
            Node::File | Node::Link(_) | Node::Nothing => return None,
        }
    }
    Some(End::Folder(here.join("/")))
}

/// The target of a link at `from` that leads to `to`; both are paths from the same root, without links.
pub fn relative(from: &str, to: &str) -> String {
    let (from, to): (Vec<&str>, Vec<&str>) = (from.split('/').collect(), to.split('/').collect());
    let folders = &from[..from.len() - 1];
    let common = folders.iter().zip(&to[..to.len() - 1]).take_while(|(one, other)| one == other).count();
    let up = std::iter::repeat_n("..", folders.len() - common);
    up.chain(to[common..].iter().copied()).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(path: &str) -> Node {
        match path {
            "usr" | "usr/lib" | "usr/lib/firmware" | "usr/lib/firmware/new" | "etc" => Node::Folder,
            "usr/lib/firmware/new/a.bin" | "usr/lib/firmware/db-debian" => Node::File,
            "lib" => Node::Link("usr/lib".to_owned()),
            "usr/lib/firmware/old" => Node::Link("new".to_owned()),
            "usr/lib/firmware/b.bin" => Node::Link("old/./a.bin".to_owned()),
            "usr/lib/firmware/db" => Node::Link("/etc/db".to_owned()),
            "etc/db" => Node::Link("../../../../lib/firmware//db-debian".to_owned()),
            "usr/lib/firmware/me" => Node::Link("me".to_owned()),
            "usr/lib/firmware/long" => Node::Link("./".repeat(LONGEST)),
            "usr/lib/firmware/below-a-file" => Node::Link("new/a.bin/x".to_owned()),
            _ => Node::Nothing,
        }
    }

    #[test]
    fn links_end_below_the_root_or_nowhere() {
        let file = |path: &str| Some(End::File(path.to_owned()));
        for (path, end) in [
            ("lib/firmware/b.bin", file("usr/lib/firmware/new/a.bin")),
            ("usr/lib/firmware/db", file("usr/lib/firmware/db-debian")),
            ("/../usr/lib/firmware/new/a.bin", file("usr/lib/firmware/new/a.bin")),
            ("usr/lib/firmware/old", Some(End::Folder("usr/lib/firmware/new".to_owned()))),
            ("usr/lib/firmware/me", None),
            ("usr/lib/firmware/long", None),
            ("usr/lib/firmware/below-a-file", None),
            ("usr/lib/firmware/new/a.bin/", None),
            ("usr/lib/firmware/gone", None),
        ] {
            assert_eq!(follow(path, look), end, "{path}");
        }
    }

    #[test]
    fn a_target_is_relative_to_the_folder_of_its_link() {
        for (from, to, target) in [
            ("lib/firmware/a", "lib/firmware/b", "b"),
            ("lib/firmware/x/y/a", "lib/firmware/z/b", "../../z/b"),
            ("lib/firmware/a", "lib/firmware/a-folder/b", "a-folder/b"),
            ("lib/firmware/x/a", "lib/firmware/x", "../x"),
        ] {
            assert_eq!(relative(from, to), target, "{from} {to}");
        }
    }
}
