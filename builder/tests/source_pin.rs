//! `lamina source pin`: what a recipe's author does in place of guessing hashes and sizes.

mod program;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use program::{lamina, lamina_with, told};

const BODY: &str = "the source\n";

fn tree() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("packages/hello")).unwrap();
    fs::write(folder.path().join("packages/hello/here-1.tar"), BODY).unwrap();
    folder
}

fn hash() -> String {
    profiles::Digest::of(BODY.as_bytes()).unwrap().0.hex()
}

/// Answers every request with [`BODY`], `/old` with a redirect to `/new/hello-1.tar`; returns where it listens.
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut lines = BufReader::new(connection.try_clone().unwrap()).lines();
            let request = lines.next().unwrap().unwrap();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let answer = match request.contains(" /old ") {
                true => {
                    "HTTP/1.1 302 Found\r\nLocation: /new/hello-1.tar\r\nContent-Length: 0\r\n\r\n".to_owned()
                }
                false => format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{BODY}",
                    BODY.len()
                ),
            };
            connection.write_all(answer.as_bytes()).unwrap();
        }
    });
    address
}

#[test]
fn an_address_is_printed_as_a_node() {
    let (tree, server) = (tree(), serve());
    let node = |name: &str, mirror: &str| {
        format!(
            "    source \"{name}\" sha256=\"{}\" size=11 {{\n        mirror \"{mirror}\"\n    }}\n",
            hash()
        )
    };
    let url = format!("{server}/pool/hello-1.tar?x=1");
    let output = lamina(tree.path(), &["source", "pin", &url]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), node("hello-1.tar", &url), "{}", told(&output));
    assert!(told(&output).contains("compare the hash with what the authors publish"), "{}", told(&output));

    let old = format!("{server}/old");
    let output = lamina(tree.path(), &["source", "pin", &old, "--name", "h.tar"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), node("h.tar", &old));
    assert!(
        told(&output).contains(&format!("/old: redirected to {server}/new/hello-1.tar")),
        "{}",
        told(&output)
    );

    let output = lamina(tree.path(), &["source", "pin", "packages/hello/here-1.tar"]);
    let real = fs::canonicalize(tree.path()).unwrap().join("packages/hello/here-1.tar");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        node("here-1.tar", &format!("file:{}", real.display()))
    );

    for (arguments, part) in [
        (
            vec!["nothing-here"],
            "nothing-here: No such file or directory (os error 2)\nhelp: give a file, or an address",
        ),
        (vec!["http://127.0.0.1:1/x.tar"], "x.tar: cannot be read\n  http://127.0.0.1:1/x.tar: curl: (7) "),
        (vec!["https://a.test/"], "help: give the name that it shall have in /sources with `--name FILE`"),
        (vec!["ftp:x"], "ftp:x: No such file"),
        (vec!["packages"], "is not a regular file"),
        (vec!["packages/hello/here-1.tar", "--write", "helo"], "package helo: there is no "),
    ] {
        let output = lamina(tree.path(), &[&["source", "pin"], arguments.as_slice()].concat());
        assert!(!output.status.success() && told(&output).contains(part), "{arguments:?}: {}", told(&output));
    }
}

#[test]
fn a_recipe_that_lacks_hash_or_size_says_how_to_get_them_and_gets_them() {
    let tree = tree();
    let file = tree.path().join("packages/hello/recipe.kdl");
    let recipe = |source: &str| {
        format!(
            "recipe \"hello\" {{\n    version \"1\"\n    description \"x\"\n    license \"MIT\"\n    {source}\n    step \"install\" \"true\"\n}}\n"
        )
    };
    let mirrors = "{ mirror \"file:here-1.tar\"; }";
    for wrong in ["", "sha256=\"\" size=1", "sha256=\"123\"", &format!("sha256=\"{}\" size=\"x\"", hash())] {
        fs::write(&file, recipe(&format!("source \"here-1.tar\" {wrong} {mirrors}"))).unwrap();
        let output = lamina(tree.path(), &["fetch", "hello"]);
        assert!(
            told(&output).contains("help: `lamina source pin 'file:here-1.tar'` prints"),
            "{}",
            told(&output)
        );
        let output = lamina(tree.path(), &["source", "pin", "file:here-1.tar", "--write", "hello"]);
        assert!(output.status.success() && output.stdout.is_empty(), "{}", told(&output));
        let output = lamina(tree.path(), &["fetch", "hello"]);
        // The bootstrap recipe is missing; what matters is that this one is read.
        assert!(told(&output).contains("packages/bootstrap/recipe.kdl"), "{}", told(&output));
    }
    let before = fs::read(&file).unwrap();
    let output = lamina(tree.path(), &["source", "pin", "packages/hello/here-1.tar", "--write", "hello"]);
    assert!(told(&output).contains("is pinned to this already"), "{}", told(&output));
    assert_eq!(fs::read(&file).unwrap(), before);

    fs::write(&file, recipe("")).unwrap();
    lamina(tree.path(), &["source", "pin", "packages/hello/here-1.tar", "--write", "hello"]);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(&format!("source \"here-1.tar\" sha256=\"{}\" size=11 {{", hash())), "{text}");
    assert!(text.contains("mirror \"file:here-1.tar\""), "relative to the recipe: {text}");
}

/// A cargo that has one crate, and leaves it where cargo does.
const CARGO: &str = r#"#!/bin/sh
case "$*" in
"info --quiet --color never hello@1.2.3")
    mkdir -p "$CARGO_HOME/registry/cache/here-1"
    echo "the source" >"$CARGO_HOME/registry/cache/here-1/hello-1.2.3.crate" ;;
*)
    echo "error: could not find it in https://key@registry.test/" >&2
    exit 101 ;;
esac
"#;

#[test]
fn a_crate_comes_by_the_cargo_of_this_machine() {
    let tree = tree();
    let programs = tree.path().join("bin");
    fs::create_dir(&programs).unwrap();
    fs::write(programs.join("cargo"), CARGO).unwrap();
    fs::set_permissions(programs.join("cargo"), fs::Permissions::from_mode(0o755)).unwrap();
    let home = tree.path().join("home").display().to_string();
    let path = format!("{}:/usr/bin:/bin", programs.display());
    let pin = |address: &str, path: &str| {
        let variables = [("CARGO_HOME", home.as_str()), ("PATH", path)];
        let output = lamina_with(tree.path(), &["source", "pin", address], &variables);
        (output.status.success(), told(&output))
    };
    let node = format!(
        "    source \"hello-1.2.3.crate\" sha256=\"{}\" size=11 {{\n        mirror \"crate:hello/1.2.3\"\n    }}\n",
        hash()
    );
    assert_eq!(pin("crate:hello/1.2.3", &path), (true, node.clone()));
    let refused = "crate:hello/1.2.4: cargo: error: could not find it in https://***@registry.test/";
    let (ended_well, said) = pin("crate:hello/1.2.4", &path);
    assert!(!ended_well && said.contains(refused), "{said}");

    // What lies in its cache needs no cargo.
    let without = tree.path().join("without");
    fs::create_dir(&without).unwrap();
    for program in ["setpriv", "curl"] {
        std::os::unix::fs::symlink(format!("/usr/bin/{program}"), without.join(program)).unwrap();
    }
    assert_eq!(pin("crate:hello/1.2.3", &without.display().to_string()), (true, node));
    let (ended_well, said) = pin("crate:hello/1.2.4", &without.display().to_string());
    assert!(!ended_well && said.contains("there is no program cargo"), "{said}");
}
