//! The paths that the items of a module name: in `use`, in code, in attributes, and inside macros as far as tokens show them.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemUse, Macro, Meta, Path, UseTree, Visibility};

/// What kind of item a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Definition {
    /// A function, which runs.
    Function,
    /// A type, a trait, a constant, a static or a macro.
    Other,
}

/// A name that a module imports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// What it is, from the importing module on: `["super", "plan", "Step"]`.
    pub path: Vec<String>,
}

/// A path that stands in the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// Its segments; the last may be `*`.
    pub path: Vec<String>,
    /// The line, from 1.
    pub line: usize,
    /// The function of the module, outside any `impl`, in which it stands.
    pub within: Option<String>,
}

/// Everything that [`find`] finds.
#[derive(Debug, Default)]
pub struct Found {
    /// The items by name.
    pub defined: BTreeMap<String, Definition>,
    /// The imported names.
    pub imports: BTreeMap<String, Import>,
    /// The paths before each `::*`.
    pub globs: Vec<Vec<String>>,
    /// Every path, in the order of the text.
    pub mentions: Vec<Mention>,
    /// The function that is being looked through.
    within: Option<String>,
}

/// Looks through `items`, and not into the modules among them.
pub fn find(items: &[Item]) -> Found {
    let mut found = Found::default();
    for item in items {
        if matches!(item, Item::Mod(_)) || only_for_tests(attributes(item)) {
            continue;
        }
        found.within = None;
        if let Some((name, definition)) = definition(item) {
            found.within = (definition == Definition::Function).then(|| name.clone());
            found.defined.insert(name, definition);
        }
        found.visit_item(item);
    }
    found
}

/// Whether the item is only compiled for tests: `#[test]`, `#[cfg(test)]`, `#[cfg(all(test, …))]`.
pub fn only_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("cfg") => demands_test(list.tokens.clone()),
        _ => false,
    })
}

/// Whether a predicate of `cfg` holds only for tests.
fn demands_test(predicate: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = predicate.into_iter().collect();
    match tokens.as_slice() {
        [TokenTree::Ident(word)] => word == "test",
        [TokenTree::Ident(word), TokenTree::Group(group)] if word == "all" => {
            let inner: Vec<TokenTree> = group.stream().into_iter().collect();
            let comma =
                |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
            inner.split(comma).any(|part| demands_test(part.iter().cloned().collect()))
        }
        _ => false,
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn definition(item: &Item) -> Option<(String, Definition)> {
    let (name, kind) = match item {
        Item::Fn(item) => (&item.sig.ident, Definition::Function),
        Item::Const(item) => (&item.ident, Definition::Other),
        Item::Enum(item) => (&item.ident, Definition::Other),
        Item::Macro(item) => (item.ident.as_ref()?, Definition::Other),
        Item::Static(item) => (&item.ident, Definition::Other),
        Item::Struct(item) => (&item.ident, Definition::Other),
        Item::Trait(item) => (&item.ident, Definition::Other),
        Item::Type(item) => (&item.ident, Definition::Other),
        Item::Union(item) => (&item.ident, Definition::Other),
        _ => return None,
    };
    Some((name.to_string(), kind))
}

impl Found {
    fn use_tree(&mut self, tree: &UseTree, before: &[String]) {
        let joined = |name: String| before.iter().cloned().chain([name]).collect::<Vec<_>>();
        match tree {
            UseTree::Path(path) => self.use_tree(&path.tree, &joined(path.ident.to_string())),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.use_tree(tree, before)),
            UseTree::Glob(glob) => {
                self.globs.push(before.to_vec());
                let line = glob.star_token.span.start().line;
                self.mentions.push(Mention {
                    path: joined("*".to_owned()),
                    line,
                    within: self.within.clone(),
                });
            }
            UseTree::Name(name) => {
                self.import(before, &name.ident.to_string(), None, name.ident.span().start().line)
            }
            UseTree::Rename(rename) => {
                let alias = rename.rename.to_string();
                let line = rename.ident.span().start().line;
                self.import(before, &rename.ident.to_string(), Some(alias), line);
            }
        }
    }

    fn import(&mut self, before: &[String], name: &str, alias: Option<String>, line: usize) {
        let mut path = before.to_vec();
        if name != "self" {
            path.push(name.to_owned());
        }
        let alias = alias.or_else(|| path.last().cloned()).unwrap_or_default();
        self.imports.insert(alias, Import { path: path.clone() });
        self.mentions.push(Mention { path, line, within: self.within.clone() });
    }

    /// Finds `a::b::c` among tokens. A single word counts only when something was imported under that name.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let is_colon =
            |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(first) => {
                    let mut path = vec![first.to_string()];
                    while is_colon(at) && is_colon(at + 1) {
                        let Some(TokenTree::Ident(next)) = tokens.get(at + 2) else { break };
                        path.push(next.to_string());
                        at += 3;
                    }
                    self.mentions.push(Mention {
                        path,
                        line: first.span().start().line,
                        within: self.within.clone(),
                    });
                }
                _ => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Found {
    fn visit_item(&mut self, item: &'ast Item) {
        if !only_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if item.leading_colon.is_none() {
            self.use_tree(&item.tree, &[]);
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none() {
            let line = path.segments.first().map_or(0, |first| first.ident.span().start().line);
            let segments = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.mentions.push(Mention { path: segments, line, within: self.within.clone() });
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, found: &'ast Macro) {
        self.visit_path(&found.path);
        self.tokens(found.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone());
        }
    }

    /// `pub(in crate::a)` says who sees, and uses nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mentioned(text: &str) -> Vec<String> {
        let found = find(&syn::parse_file(text).unwrap().items);
        found.mentions.iter().map(|mention| mention.path.join("::")).collect()
    }

    #[test]
    fn trees_of_use_are_taken_apart() {
        let text = "use a::{self, b::{C, D as E}, f::*};";
        assert_eq!(mentioned(text), ["a", "a::b::C", "a::b::D", "a::f::*"]);
        let found = find(&syn::parse_file(text).unwrap().items);
        assert_eq!(found.imports["E"].path, ["a", "b", "D"]);
        assert_eq!(found.globs, [["a", "f"]]);
    }

    #[test]
    fn paths_in_code_types_macros_and_attributes_are_found() {
        let text = "#[derive(x::Y)] struct S(crate::a::T);
            fn f(t: &super::b::U) { vec![self::c::d(1, e::F)]; g::h::<i::J>(); }";
        let mentioned = mentioned(text);
        for path in ["x::Y", "crate::a::T", "super::b::U", "self::c::d", "e::F", "g::h", "i::J"] {
            assert!(mentioned.iter().any(|one| one == path), "{path} in {mentioned:?}");
        }
    }

    #[test]
    fn what_only_tests_compile_is_left_out() {
        let text = "#[cfg(test)] use a::B; #[test] fn f() { c::d() } #[cfg(any(test, unix))] use e::F;
            fn g() { #[cfg(all(test, unix))] use h::I; }";
        assert_eq!(mentioned(text), ["e::F"]);
    }

    #[test]
    fn the_function_around_a_path_is_told() {
        let found = find(
            &syn::parse_file("use a::B;\nfn f() { c::d() }\nimpl B { fn g() { e::h() } }").unwrap().items,
        );
        let told: Vec<(&str, usize, Option<&str>)> = found
            .mentions
            .iter()
            .map(|mention| (mention.path[0].as_str(), mention.line, mention.within.as_deref()))
            .collect();
        assert_eq!(told, [("a", 1, None), ("c", 2, Some("f")), ("B", 3, None), ("e", 3, None)]);
    }
}
