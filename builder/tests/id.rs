//! The id of a build: a golden text, and that every ingredient changes it while nothing else does.

mod tree;

use builder::graph::Package;
use tree::Tree;

const SOURCE: &str = "0000000000000000000000000000000000000000000000000000000000000001";

/// A recipe with one of everything.
fn everything() -> String {
    format!(
        r#"
        version "2.10"
        homepage "https://example.org/"
        source "hello.tar.gz" sha256="{SOURCE}" size=10 {{
            mirror "debian:pool/main/h/hello/hello.tar.gz"
        }}
        patch "b.patch"
        patch "a.patch"
        file "conf"
        feature "nls" default=#false
        variant "static" "dynamic" default="static"
        build-depends {{
            musl version=">=1"
        }}
        depends {{
            base-files version=">=1"
        }}
        step "make" "make"
        step "install" "make install"
        metadata "/usr/bin/hello" mode="4755" user=0 group=0
        "#
    )
}

fn tree() -> Tree {
    let tree = Tree::new();
    for name in ["musl", "base-files"] {
        tree.recipe(name, "version \"1\"\nstep \"install\" \"true\"");
    }
    tree.write("hello/a.patch", "a");
    tree.write("hello/b.patch", "b");
    tree.write("hello/conf", "conf");
    tree.recipe("hello", &everything());
    tree
}

/// One resolved package with its defaults.
fn package(tree: &Tree, name: &str) -> Package {
    let (graph, roots) = tree.resolve(&[name]).unwrap();
    graph.packages()[roots[0]].clone()
}

#[test]
fn the_text_is_as_documented() {
    let tree = tree();
    let (musl, bootstrap) = (package(&tree, "musl").id.hex(), package(&tree, "bootstrap").id.hex());
    let expected = format!(
        "lamina build 3\n\
         name hello\n\
         version 2.10\n\
         license MIT\n\
         target x86_64-linux\n\
         image squashfs-zstd zstd=1.5.7 level=15 block=131072 verity=sha256-4096 fec-roots=2\n\
         bootstrap {bootstrap}\n\
         variant static\n\
         feature nls off\n\
         source hello.tar.gz sha256:{SOURCE}\n\
         patch b.patch sha256:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d\n\
         patch a.patch sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb\n\
         file conf sha256:0c326c4f02797b088fc566e64fbfe2162390f52f2fec1483ec3a413a7f11c910\n\
         metadata /usr/bin/hello mode=4755 user=0 group=0\n\
         build-depend musl {musl}\n\
         depend base-files >=1\n"
    );
    let canonical = package(&tree, "hello").canonical;
    let mut lines: Vec<&str> = canonical.lines().collect();
    let steps = lines.split_off(lines.len() - 4);
    assert_eq!(steps[0], "step unpack default=1 hello.tar.gz");
    let names: Vec<&str> = steps.iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert_eq!(names, ["unpack", "patch", "make", "install"]);
    assert_eq!(lines.join("\n") + "\n", expected);
}

/// A fixed recipe has a fixed id: when this fails, every build of every user becomes out of date.
#[test]
fn the_id_of_a_fixed_recipe_is_fixed() {
    assert_eq!(
        package(&tree(), "hello").id.hex(),
        "4247ca11ada034691aecfeaca35f32bfc137dce65f19873a8b655dce2cf34c46"
    );
}

#[test]
fn every_ingredient_changes_the_id() {
    let before = package(&tree(), "hello").id;
    let edits = [
        ("2.10", "2.11"),
        (SOURCE, "0000000000000000000000000000000000000000000000000000000000000002"),
        ("hello.tar.gz\" sha256", "hallo.tar.gz\" sha256"),
        ("patch \"b.patch\"", ""),
        ("step \"make\"", "step \"unpack\" \":\"\n        step \"make\""),
        ("patch \"b.patch\"\n        patch \"a.patch\"", "patch \"a.patch\"\n        patch \"b.patch\""),
        ("file \"conf\"", ""),
        ("default=#false", "default=#true"),
        ("default=\"static\"", "default=\"dynamic\""),
        ("musl version=\">=1\"", "base-files"),
        ("base-files version=\">=1\"", "base-files version=\">=0\""),
        ("\"make install\"", "\"make  install\""),
        ("step \"make\" \"make\"", ""),
        ("mode=\"4755\"", "mode=\"0755\""),
        ("user=0", "user=1"),
        ("user=0", "user=0 capabilities=\"cap_net_raw=ep\""),
        ("metadata", "attribute \"user.note\"\n        metadata"),
        ("metadata", "bootstrap \"other\"\n        metadata"),
    ];
    for (from, to) in edits {
        let tree = tree();
        tree.recipe("other", "version \"12\"\nfile \"debian.kdl\"\nfile \"lock.kdl\"\ndebian");
        tree.write("other/debian.kdl", "other");
        tree.write("other/lock.kdl", "");
        let text = everything();
        assert!(text.contains(from), "{from}");
        tree.recipe("hello", &text.replacen(from, to, 1));
        assert_ne!(package(&tree, "hello").id, before, "{from} -> {to}");
    }
}

/// The lines of sources are sorted, and the default unpacks the first of them.
#[test]
fn which_source_is_the_first_changes_the_id() {
    let tree = tree();
    let source = |name| {
        format!("source \"{name}\" sha256=\"{SOURCE}\" size=1 {{ mirror \"https://example.org/x\"\n }}\n")
    };
    let id = |first, second| {
        let nodes = format!("version \"1\"\n{}{}step \"install\" \"true\"", source(first), source(second));
        tree.recipe("two", &nodes);
        package(&tree, "two").id
    };
    assert_ne!(id("a", "b"), id("b", "a"));
}

#[test]
fn files_around_the_recipe_change_the_id() {
    let before = package(&tree(), "hello").id;
    for file in ["hello/a.patch", "hello/conf", "bootstrap/lock.kdl"] {
        let tree = tree();
        tree.write(file, "other");
        assert_ne!(package(&tree, "hello").id, before, "{file}");
    }
    let tree = tree();
    tree.recipe("musl", "version \"1\"\nstep \"install\" \"false\"");
    assert_ne!(package(&tree, "hello").id, before, "another build of a dependency");
}

#[test]
fn chosen_features_and_variants_change_the_id() {
    let tree = tree();
    let before = package(&tree, "hello").id;
    for wishes in [("nls", "on"), ("variant", "dynamic")] {
        let (graph, roots) = tree.resolve_with(&["hello"], &[wishes]).unwrap();
        assert_ne!(graph.packages()[roots[0]].id, before, "{wishes:?}");
    }
}

#[test]
fn mirrors_words_and_homepages_do_not_change_the_id() {
    let before = package(&tree(), "hello").id;
    let edits = [
        ("debian:pool/main/h/hello/hello.tar.gz", "https://example.org/hello.tar.gz"),
        ("https://example.org/", "https://example.com/"),
        ("feature \"nls\" default=#false", "feature \"nls\" default=#false { description \"Words\"\n }"),
    ];
    for (from, to) in edits {
        let tree = tree();
        assert!(everything().contains(from), "{from}");
        tree.recipe("hello", &everything().replacen(from, to, 1));
        assert_eq!(package(&tree, "hello").id, before, "{from} -> {to}");
    }
    let tree = tree();
    tree.write("hello/unnamed", "a file that no node names");
    assert_eq!(package(&tree, "hello").id, before);
}
