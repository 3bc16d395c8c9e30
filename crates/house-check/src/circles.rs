//! Modules that import each other.
//!
//! An import of a sibling, or of something below a sibling, ties the two children of their nearest common ancestor: for
//! `store::records` that imports `plan::step`, it is `store` that needs `plan`. So each module has one graph, of its children, and
//! none of these graphs may have a circle.
//!
//! A module and what lies below it are one subject: `mod.rs` may define the types and small functions that its children work with,
//! call the children, and hand their names on. Only one thing there is a circle: a child that runs a function of an ancestor's own
//! file which itself, or by other functions of that file, runs the child. So the free functions of a module stand in its graph too,
//! beside its children; its types and their methods do not.
//!
//! What text alone does not show is not seen: methods of a type that are defined in another module than the type, and names
//! that macros put together.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;
use std::path::Path;

use crate::finding::{Finding, Unreadable};
use crate::modules::{Id, Modules};
use crate::names::{Meaning, meaning};
use crate::paths::{Definition, Mention};
use crate::workspace::Crate;

/// One place where a module uses another.
#[derive(Debug, Clone)]
struct Import {
    /// `file:line`.
    place: String,
    /// The path as it is written there.
    path: String,
}

/// A child of the module whose graph it is, or a function of the module's own file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Node {
    module: Id,
    function: Option<String>,
}

/// Who uses whom, with all places.
type Graph = BTreeMap<Node, BTreeMap<Node, Vec<Import>>>;

/// Modules each of which leads to each other.
#[derive(Debug)]
struct Circle {
    /// All of them.
    nodes: BTreeSet<Node>,
    /// The shortest way round: each uses the next, and the last the first.
    shortest: Vec<Node>,
}

/// A finding for each circle of the crate.
pub fn check(root: &Path, of_crate: &Crate) -> Result<Vec<Finding>, Unreadable> {
    let mut findings = Vec::new();
    for (modules, graph) in graphs(root, of_crate)? {
        for circle in circles(&graph) {
            findings.push(finding(&of_crate.name, &modules, &graph, &circle));
        }
    }
    Ok(findings)
}

/// Every import inside each circle of the crate, for the one who unties it.
pub fn list(root: &Path, of_crate: &Crate) -> Result<String, Unreadable> {
    let mut text = String::new();
    for (modules, graph) in graphs(root, of_crate)? {
        for circle in circles(&graph) {
            text += &format!("{}\n", finding(&of_crate.name, &modules, &graph, &circle));
            for from in &circle.nodes {
                for (to, imports) in graph[from].iter().filter(|(to, _)| circle.nodes.contains(to)) {
                    text += &format!("  {} -> {}\n", name(&modules, from), name(&modules, to));
                    for import in imports {
                        text += &format!("      {} {}\n", import.place, import.path);
                    }
                }
            }
            text.push('\n');
        }
    }
    Ok(text)
}

/// The graph of each module that has children, in each library, program and test program of the crate.
fn graphs(root: &Path, of_crate: &Crate) -> Result<Vec<(std::rc::Rc<Modules>, Graph)>, Unreadable> {
    let mut all = Vec::new();
    for root_file in &of_crate.roots {
        let modules = std::rc::Rc::new(Modules::read(root, root_file)?);
        let by_parent = graphs_of(&modules);
        all.extend(by_parent.into_values().map(|graph| (modules.clone(), graph)));
    }
    Ok(all)
}

fn graphs_of(modules: &Modules) -> BTreeMap<Id, Graph> {
    let mut graphs: BTreeMap<Id, Graph> = BTreeMap::new();
    for from in modules.ids() {
        for mention in &modules.get(from).mentions {
            let Some(meant) = meaning(modules, from, &mention.path) else { continue };
            let Some((parent, user, used)) = edge(modules, from, meant, mention) else { continue };
            let file = modules.get(from).file.display();
            let import = Import { place: format!("{file}:{}", mention.line), path: mention.path.join("::") };
            let graph = graphs.entry(parent).or_default();
            graph.entry(user).or_default().entry(used).or_default().push(import);
        }
    }
    graphs
}

/// In whose graph the use of `meant` by the module `from` belongs, and between whom.
fn edge(modules: &Modules, from: Id, meant: Meaning, mention: &Mention) -> Option<(Id, Node, Node)> {
    let (user, used) = (modules.line_of(from), modules.line_of(meant.module));
    let common = user.iter().zip(&used).take_while(|(one, other)| one == other).count();
    let parent = user[common - 1];
    let node = |child: Option<&Id>, function: Option<String>| match child {
        Some(child) => Some(Node { module: *child, function: None }),
        None => Some(Node { module: parent, function: Some(function?) }),
    };
    let function = meant.item.filter(|(_, kind)| *kind == Definition::Function).map(|(name, _)| name);
    let user = node(user.get(common), mention.within.clone())?;
    let used = node(used.get(common), function)?;
    // A function that calls itself is none of this.
    (user != used).then_some((parent, user, used))
}

fn circles(graph: &Graph) -> Vec<Circle> {
    let reached: BTreeMap<&Node, BTreeSet<&Node>> =
        graph.keys().map(|node| (node, reach(graph, node))).collect();
    let mut told: BTreeSet<&Node> = BTreeSet::new();
    let mut circles = Vec::new();
    for node in graph.keys() {
        if !reached[node].contains(node) || told.contains(node) {
            continue;
        }
        let leads_back = |other: &&Node| reached.get(*other).is_some_and(|reached| reached.contains(node));
        let together: BTreeSet<&Node> = reached[node].iter().copied().filter(leads_back).collect();
        told.extend(&together);
        // Functions of one file may call each other as they like.
        if together.iter().all(|node| node.function.is_some()) {
            continue;
        }
        let ways = together.iter().map(|node| way_round(graph, node));
        let shortest = ways.min_by_key(Vec::len).unwrap_or_default().into_iter().cloned().collect();
        circles.push(Circle { nodes: together.into_iter().cloned().collect(), shortest });
    }
    circles
}

fn followers<'a>(graph: &'a Graph, node: &Node) -> impl Iterator<Item = &'a Node> {
    graph.get(node).into_iter().flat_map(BTreeMap::keys)
}

/// All that `node` leads to; itself only when it is on a circle.
fn reach<'a>(graph: &'a Graph, node: &'a Node) -> BTreeSet<&'a Node> {
    let mut reached = BTreeSet::new();
    let mut open = vec![node];
    while let Some(next) = open.pop() {
        open.extend(followers(graph, next).filter(|to| reached.insert(*to)));
    }
    reached
}

/// The shortest way from `node` back to it, by breadth first search.
fn way_round<'a>(graph: &'a Graph, node: &'a Node) -> Vec<&'a Node> {
    let mut came_from: BTreeMap<&Node, &Node> = BTreeMap::new();
    let mut open = VecDeque::from([node]);
    while let Some(at) = open.pop_front() {
        for to in followers(graph, at) {
            if to == node {
                let mut way: Vec<&Node> =
                    std::iter::successors(Some(at), |at| came_from.get(at).copied()).collect();
                way.reverse();
                return way;
            }
            if !came_from.contains_key(to) {
                came_from.insert(to, at);
                open.push_back(to);
            }
        }
    }
    Vec::new()
}

fn finding(of_crate: &str, modules: &Modules, graph: &Graph, circle: &Circle) -> Finding {
    let name = |node: &Node| name(modules, node);
    let way = &circle.shortest;
    let next = way.iter().cycle().skip(1);
    let mut chain: Vec<String> = way.iter().map(name).collect();
    chain.extend(way.first().map(name));
    let mut message = format!("{of_crate} has a circle of imports: {}", chain.join(" -> "));
    let mut place = String::new();
    for (from, to) in way.iter().zip(next) {
        let import = &graph[from][to][0];
        if place.is_empty() {
            place.clone_from(&import.place);
        }
        let (file, to) = (modules.get(to.module).file.display(), name(to));
        let _ = write!(message, "\n    {} names `{}`, which is in {to} ({file})", import.place, import.path);
    }
    if circle.nodes.len() > way.len() {
        let all: Vec<String> = circle.nodes.iter().map(name).collect();
        let _ = write!(message, "\n    all {} that hang together: {}", all.len(), all.join(", "));
    }
    message += "\n    move what both need into a module of its own, or hand it over as an argument";
    Finding { key: format!("circles {of_crate}"), place, message }
}

/// `store::records`, `store::open()`; of a root, the name of its file.
fn name(modules: &Modules, node: &Node) -> String {
    let line = modules.line_of(node.module);
    let mut names: Vec<&str> = line.iter().map(|id| modules.get(*id).name.as_str()).collect();
    if names.len() > 1 {
        names.remove(0);
    }
    let function = node.function.as_ref().map(|function| format!("::{function}()"));
    names.join("::") + &function.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The circles of a library in one file, each as its shortest way.
    fn found(text: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("lib.rs"), text).unwrap();
        let modules = Modules::read(folder.path(), Path::new("lib.rs")).unwrap();
        let way = |circle: Circle| {
            let names: Vec<String> = circle.shortest.iter().map(|node| name(&modules, node)).collect();
            names.join(" -> ")
        };
        graphs_of(&modules).values().flat_map(circles).map(way).collect()
    }

    #[test]
    fn siblings_that_import_each_other_are_a_circle() {
        assert_eq!(found("mod a { use crate::b::B; } mod b { pub struct B; }"), [""; 0]);
        assert_eq!(
            found("mod a { use crate::b::B; } mod b { pub struct B; fn f() { super::a::g() } }"),
            ["a -> b"]
        );
    }

    #[test]
    fn the_shortest_way_is_told_and_longer_ones_count() {
        let three = "mod a { use crate::b; } mod b { use crate::c; } mod c { use crate::a; }";
        assert_eq!(found(three), ["a -> b -> c"]);
        let both = "mod a { use crate::{b, c}; } mod b { use crate::c; } mod c { use crate::a; }";
        assert_eq!(found(both), ["a -> c"]);
    }

    #[test]
    fn what_lies_below_a_sibling_counts_for_the_sibling() {
        let text = "mod a { mod x { use crate::b::y::Y; } mod z { pub struct Z; } }
            mod b { mod y { pub struct Y; } mod w { use crate::a::z::Z; } }";
        assert_eq!(found(text), ["a -> b"]);
    }

    #[test]
    fn a_sibling_through_the_parent_counts() {
        let text = "pub use b::B; mod a { use super::B; } mod b { pub struct B; fn f() { crate::a::g!() } }";
        assert_eq!(found(text), ["a -> b"]);
    }

    #[test]
    fn a_module_and_its_children_may_work_together_unless_a_function_runs_its_runner() {
        let types = "use a::go; struct T; impl T { fn f() { go() } } mod a { use super::T; pub fn go() {} }";
        assert_eq!(found(types), [""; 0]);
        let small = "fn run() { a::go() } fn small() {} mod a { pub fn go() { super::small() } }";
        assert_eq!(found(small), [""; 0]);
        let direct = "fn run() { a::go() } mod a { pub fn go() { super::run() } }";
        assert_eq!(found(direct), ["lib::run() -> a"]);
        let by_another =
            "use a::go; fn run() { go() } fn again() { run() } mod a { pub fn go() { super::again() } }";
        assert_eq!(found(by_another), ["lib::again() -> lib::run() -> a"]);
        assert_eq!(found("fn even() { odd() } fn odd() { even() }"), [""; 0]);
    }

    #[test]
    fn tests_may_look_at_everything() {
        let text = "mod a { use crate::b; } mod b { #[cfg(test)] mod tests { use crate::a; } }";
        assert_eq!(found(text), [""; 0]);
    }

    #[test]
    fn a_finding_names_files_lines_and_the_chain() {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("lib.rs", "mod one;\nmod two;"),
            ("one.rs", "\nuse crate::two::Two;"),
            ("two.rs", "pub struct Two;\n\nuse crate::one;"),
        ] {
            std::fs::write(folder.path().join(file), text).unwrap();
        }
        let of_crate = Crate {
            name: "small".to_owned(),
            folder: String::new(),
            imports: BTreeSet::new(),
            test_imports: BTreeSet::new(),
            is_program: false,
            roots: vec!["lib.rs".into()],
        };
        let findings = check(folder.path(), &of_crate).unwrap();
        let told = findings[0].to_string();
        for part in [
            "one.rs:2: small has a circle of imports: one -> two -> one",
            "one.rs:2 names `crate::two::Two`, which is in two (two.rs)",
            "two.rs:3 names `crate::one`, which is in one (one.rs)",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
        assert_eq!(findings[0].key, "circles small");
    }
}
