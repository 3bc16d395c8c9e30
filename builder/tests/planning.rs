//! How much `lamina build --dry-run` reads to make a plan.

mod tree;

use std::fs;
use std::path::Path;
use std::process::Command;

use tree::Tree;

/// A record of an earlier version of the package.
fn record(name: &str, id: usize) -> String {
    format!(
        "build \"{name}\" format=1 {{\n    version \"0\"\n    id \"{id:064x}\"\n    license \"MIT\"\n    target \"x86_64-linux\"\n    \
         image digest=\"sha256:{id:064x}\" size=4096\n}}\n"
    )
}

/// Plans `packages` packages, each with a record of an earlier build, and returns how often the program called read(2) and its kin:
/// `syscr` of proc_pid_io(5).
fn reads_of_a_plan(packages: usize) -> u64 {
    let tree = Tree::new();
    let store = tempfile::tempdir().unwrap();
    let builds = store.path().join("builds");
    fs::create_dir(&builds).unwrap();
    for number in 0..packages {
        tree.recipe(&format!("p{number}"), "version \"1\"\nstep \"install\" \"true\"");
        fs::write(builds.join(format!("{number:064x}.kdl")), record(&format!("p{number}"), number)).unwrap();
    }
    let (plan, reads) = plan(&tree, store.path(), &["--all"]);
    assert_eq!(plan.matches(": version 1 instead of 0").count(), packages, "{plan}");
    reads
}

/// What `lamina build --dry-run` says, and how often it read: a shell has in its own account what those read for whom it waited, and
/// what a process did that has ended only root may ask.
fn plan(tree: &Tree, store: &Path, targets: &[&str]) -> (String, u64) {
    let output = Command::new("/bin/sh")
        .args(["-c", "\"$@\"; status=$?; cat /proc/$$/io; exit $status", "sh", env!("CARGO_BIN_EXE_lamina")])
        .arg("--tree")
        .arg(tree.path().parent().unwrap())
        .arg("--store")
        .arg(store)
        .args(["build", "--dry-run"])
        .args(targets)
        .output()
        .unwrap();
    let [said, why] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    let (said, io) = said.split_once("rchar: ").expect("the kernel counts what is read");
    let said = format!("{said}{why}");
    // A signal is no refusal: the shell adds 128 to its number.
    assert!(output.status.code().is_some_and(|code| code < 128), "{}: {said}", output.status);
    let reads = io.lines().find_map(|line| line.strip_prefix("syscr: ")).expect("the kernel counts reads");
    (said, reads.parse().unwrap())
}

#[test]
fn each_record_is_read_once_however_many_packages_are_built() {
    let (few, many) = (reads_of_a_plan(20), reads_of_a_plan(80));
    // Each record read for each package would be sixteen times as many.
    assert!(many < few * 5, "{few} reads for 20 packages and records, {many} for 80");
}

/// The packages `p0` to `p(count - 1)`, without needs.
fn many(count: usize) -> (Tree, Vec<String>) {
    let (tree, names) = (Tree::new(), (0..count).map(|number| format!("p{number}")).collect::<Vec<_>>());
    for name in &names {
        tree.recipe(name, "version \"1\"\nstep \"install\" \"true\"");
    }
    (tree, names)
}

#[test]
fn more_layers_than_the_kernel_joins_are_refused_before_anything_is_built() {
    let (tree, names) = many(500);
    let store = tempfile::tempdir().unwrap();
    let needs = |names: &[String]| {
        format!("version \"1\"\nbuild-depends {{\n{}\n}}\nstep \"install\" \"true\"", names.join("\n"))
    };
    tree.recipe("above", &needs(&names));
    let (said, _) = plan(&tree, store.path(), &["above"]);
    assert!(
        said.contains("package above: its build would stack 501 layers, and the kernel joins at most 500\nhelp: let it need fewer"),
        "{said}"
    );
    tree.recipe("above", &needs(&names[1..]));
    let (said, _) = plan(&tree, store.path(), &["above"]);
    assert_eq!(said.matches(": never built").count(), 501, "{said}");

    tree.recipe("one-more", "version \"1\"\nstep \"install\" \"true\"");
    let profile = |packages: &str| {
        format!(
            "profile \"all\" {{\npackages {{\n{packages}\n}}\nroot writable=\"no\"\nverify \"none\"\ninit \"/bin/sh\"\n}}\n"
        )
    };
    fs::create_dir(tree.path().with_file_name("profiles")).unwrap();
    let file = tree.path().with_file_name("profiles").join("all.kdl");
    fs::write(&file, profile(&names.join("\n"))).unwrap();
    tree.recipe("p0", "version \"1\"\ndepends { one-more; }\nstep \"install\" \"true\"");
    let (said, _) = plan(&tree, store.path(), &["all"]);
    assert!(
        said.contains("profile all: it would stack 501 layers, and the kernel joins at most 500"),
        "{said}"
    );
    fs::write(&file, profile(&names[1..].join("\n"))).unwrap();
    let (said, _) = plan(&tree, store.path(), &["all"]);
    assert_eq!(said.matches(": never built").count(), 500, "{said}");
}

#[test]
fn a_chain_of_packages_that_is_too_long_is_refused_and_not_an_overflow() {
    for kind in ["build-depends", "depends"] {
        let tree = Tree::new();
        for number in 0..1500 {
            let next = number + 1;
            tree.recipe(
                &format!("p{number}"),
                &format!("version \"1\"\n{kind} {{ p{next}; }}\nstep \"install\" \"true\""),
            );
        }
        let store = tempfile::tempdir().unwrap();
        let (said, _) = plan(&tree, store.path(), &["p0"]);
        assert!(said.contains("p499): stands at the end of a chain of 500 packages"), "{said}");
        let (said, _) = plan(&tree, store.path(), &["p1400"]);
        assert!(said.contains("there is no ") && said.contains("p1500/recipe.kdl"), "{said}");
    }
}

#[test]
fn what_is_apart_is_planned_when_somebody_names_it_or_needs_it() {
    let (tree, store) = (Tree::new(), tempfile::tempdir().unwrap());
    let install = "step \"install\" \"true\"";
    tree.recipe("small", &format!("version \"1\"\n{install}"));
    tree.recipe("large", &format!("version \"1\"\napart\n{install}"));
    // The word alone does not make it so.
    tree.recipe("parts", &format!("version \"1\"\n// stands apart\n{install}"));
    let planned = |targets: &[&str]| plan(&tree, store.path(), targets).0;
    let all = planned(&["--all"]);
    assert!(all.contains("build small 1") && all.contains("build parts 1"), "{all}");
    assert!(!all.contains("large"), "{all}");
    assert!(planned(&["large"]).contains("build large 1"));
    tree.recipe("needs", &format!("version \"1\"\nbuild-depends {{ large; }}\n{install}"));
    assert!(planned(&["--all"]).contains("build large 1"));
}
