//! `lamina info` and `lamina explain`: what they print of a small tree, word by word.

mod program;

use std::fs;
use std::path::Path;

use program::{lamina, told};

const CURL: &str = r#"recipe "curl" {
    version "8.5.0"
    description "Fetches what has an address"
    license "curl"
    homepage "https://curl.se/"
    feature "http2" default=#true {
        description "HTTP/2, by nghttp2"
        requires "tls!=none"
    }
    feature "tls" "openssl" "libressl" "none" default="openssl" {
        description "Who encrypts"
        value "none" "no HTTPS"
        value "libressl" { conflicts "ldap"; }
    }
    feature "ldap" default=#false
    feature "http3" default=#true { only-with "tls=openssl"; }
    patch "libressl.patch" when="tls=libressl"
    build-depends {
        openssl when="tls=openssl"
        libressl when="tls=libressl"
    }
    arguments "configure" "--with-nghttp2" when="http2"
    arguments "configure" "--without-ssl" "--why=no TLS" when="tls=none"
    step "configure" "./configure \"$@\""
    step "make" "make ${FEATURE_LDAP:+LDAP=1}"
    step "make" when="tls=libressl" "make LIBS=-lcompat"
    step "install" "make install"
}
"#;

/// A tree with curl, who needs it, and a profile.
fn tree() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let recipe = |name: &str, nodes: &str| {
        let text = format!(
            "recipe \"{name}\" {{\n    version \"1\"\n    description \"x\"\n    license \"MIT\"\n    {nodes}\n    \
             step \"install\" \"true\"\n}}\n"
        );
        write(&format!("packages/{name}/recipe.kdl"), &text);
    };
    write("packages/curl/recipe.kdl", CURL);
    write("packages/curl/libressl.patch", "");
    recipe("openssl", "");
    recipe("libressl", "");
    recipe(
        "git",
        "feature \"http\" default=#true\n    depends { curl version=\">=7\" tls=\"libressl\" when=\"http\"; }",
    );
    write("packages/bootstrap/debian.kdl", "");
    write("packages/bootstrap/lock.kdl", "");
    write(
        "packages/bootstrap/recipe.kdl",
        "recipe \"bootstrap\" {\n version \"12\"\n description \"x\"\n license \"MIT\"\n file \"debian.kdl\"\n file \"lock.kdl\"\n debian\n}\n",
    );
    write(
        "profiles/web.kdl",
        "profile \"web\" {\n    packages {\n        curl tls=\"none\" http2=#false\n    }\n}\n",
    );
    write("profiles/more.kdl", "profile \"more\" {\n    include \"web\"\n}\n");
    folder
}

fn says(folder: &Path, words: &str) -> String {
    let words: Vec<&str> = words.split(' ').collect();
    told(&lamina(folder, &words)).replace(&format!("{}/", folder.display()), "")
}

#[test]
fn info_lists_all_choices_and_who_asks() {
    let expected = r"curl 8.5.0
Fetches what has an address
curl, https://curl.se/

choices
  +http2                   HTTP/2, by nghttp2
                           requires tls!=none
  +http3
                           only with tls=openssl
  -ldap
  tls=openssl              Who encrypts: openssl, libressl, none
                           none: no HTTPS
                           libressl conflicts with ldap

asked for by
  git (depends) >=7 tls=libressl when http at packages/git/recipe.kdl:6:15
  web (packages) -http2 tls=none at profiles/web.kdl:3:9
";
    let folder = tree();
    assert_eq!(says(folder.path(), "info curl"), expected);
    let json: serde_json::Value = serde_json::from_str(&says(folder.path(), "info curl --json")).unwrap();
    assert_eq!(json["choices"][3]["default"], "openssl");
    assert_eq!(json["choices"][0]["default"], true);
    assert_eq!(json["asked_for_by"][0]["choices"]["tls"], "libressl");
}

#[test]
fn resolved_shows_what_is_left_of_a_recipe() {
    let folder = tree();
    let expected = r#"curl 8.5.0
choices +http2 -http3 -ldap tls=libressl
patch libressl.patch
build-depends libressl
arguments configure --with-nghttp2
step patch
    patch -p1 -i '/recipe/libressl.patch'
step configure
    ./configure "$@"
step make
    make LIBS=-lcompat
step install
    make install
"#;
    assert_eq!(says(folder.path(), "info curl tls=libressl --resolved"), expected);
    let json: serde_json::Value =
        serde_json::from_str(&says(folder.path(), "info curl -http2 tls=none --resolved --json")).unwrap();
    assert_eq!(json["steps"]["configure"]["arguments"], serde_json::json!(["--without-ssl", "--why=no TLS"]));
    let refused = says(folder.path(), "info curl +ldap");
    assert_eq!(
        refused,
        "lamina: '+ldap': chooses, and all choices are to be listed\nhelp: add `--resolved`, or leave it out\n"
    );
}

#[test]
fn explain_says_who_has_decided_and_what_else_there_is() {
    let folder = tree();
    let expected = r"curl 8.5.0 (the only one)
  +http2                   the default (packages/curl/recipe.kdl:6:5)
      -http2: - arguments configure --with-nghttp2
  -http3                   off: it is there only with tls=openssl
      +http3: cannot be had: 'http3' is there only with tls=openssl, and tls is libressl (asked for on the command line)
  -ldap                    asked for on the command line
      +ldap: cannot be had: tls=libressl conflicts with ldap: tls is libressl (asked for on the command line), ldap is on (asked for on the command line); the rule stands at packages/curl/recipe.kdl:13:28
  tls=libressl             asked for on the command line
      tls=openssl: - patch libressl.patch; - build-depends libressl; - step patch; - step make at packages/curl/recipe.kdl:26:5; + build-depends openssl; + step make at packages/curl/recipe.kdl:25:5
      tls=none: cannot be had: +http2 requires tls!=none: http2 is on (the recipe's default), tls is none (asked for on the command line); the rule stands at packages/curl/recipe.kdl:8:9
";
    assert_eq!(says(folder.path(), "explain curl -ldap tls=libressl"), expected);
    let plain = says(folder.path(), "explain curl");
    assert!(plain.contains("  +ldap: read by the step make\n"), "{plain}");
    let below = says(folder.path(), "explain curl --in git");
    assert!(
        below.contains("tls=libressl             asked for by git at packages/git/recipe.kdl:6:15\n"),
        "{below}"
    );
    let within = says(folder.path(), "explain curl --in more");
    assert!(within.contains("tls=none                 asked for at profiles/web.kdl:3:9\n"), "{within}");
    let absent = says(folder.path(), "explain git --in web");
    assert_eq!(absent, "lamina: package git: is not in web\nhelp: `lamina info git` says who asks for it\n");
    let json: serde_json::Value =
        serde_json::from_str(&says(folder.path(), "explain curl --in git --json")).unwrap();
    assert_eq!(json[0]["choices"][3]["choice"], "libressl");
}

/// Behind a package `-ldap` is a choice, and options stay what they are.
#[test]
fn words_behind_a_package_choose() {
    let folder = tree();
    let shown = says(folder.path(), "build -n curl -http2 -ldap tls=none -j4");
    assert!(shown.contains("build curl 8.5.0"), "{shown}");
    for (words, part) in [
        ("build -n -ldap curl", "there is no option '-l'"),
        ("build -n curl -nope", "package curl: has no feature 'nope'"),
        ("build -n curl tls=", "'tls=': the name is empty"),
        ("build -n +ldap curl", "'+ldap': is a choice, and stands before every package"),
        ("build -n web +ldap", "profile web: takes no choices on the command line"),
        ("build -n curl +ldap tls=libressl", "tls=libressl conflicts with ldap"),
        ("explain curl git", "'git': is a second package"),
    ] {
        let shown = says(folder.path(), words);
        assert!(shown.contains(part), "{words}: {shown}");
    }
}

/// A library of two versions, who needs an old one, and a pin.
fn versions() -> tempfile::TempDir {
    let folder = tree();
    let recipe = "recipe \"lib\" {\n    version \"1.3.1\"\n    version \"1.2.13\"\n    description \"x\"\n    license \"MIT\"\n    \
                  versions \"<1.3\" { arguments \"install\" \"OLD=1\"; }\n    step \"install\" \"true\"\n}\n";
    fs::create_dir(folder.path().join("packages/lib")).unwrap();
    fs::write(folder.path().join("packages/lib/recipe.kdl"), recipe).unwrap();
    let git = folder.path().join("packages/git/recipe.kdl");
    let text = fs::read_to_string(&git).unwrap().replace("depends {", "depends { lib version=\"<1.3\";");
    fs::write(git, text).unwrap();
    folder
}

#[test]
fn a_pin_decides_where_nobody_asks_on_the_command_line() {
    let folder = versions();
    let says = |words: &str| says(folder.path(), words);
    let shown = says("explain lib");
    assert_eq!(shown, "lib 1.3.1 (the newest; there is 1.2.13 too)\n  its recipe leaves nothing open\n");
    assert!(says("info lib").contains("\nversions (loose)\n  1.3.1, 1.2.13\n"));
    assert!(says("info lib version=1.2.13 --resolved").contains("lib 1.2.13\narguments install OLD=1\n"));
    assert_eq!(says("recipe pin lib 1.2.13"), "pins.kdl: changed\n");
    assert_eq!(
        fs::read_to_string(folder.path().join("pins.kdl")).unwrap(),
        "pins format=1 {\n    lib \"1.2.13\"\n}\n"
    );
    assert_eq!(says("recipe pin"), "lib =1.2.13\n");
    let shown = says("explain lib");
    assert!(shown.starts_with("lib 1.2.13 (pinned at pins.kdl:2:5; there is 1.3.1 too)\n"), "{shown}");
    assert!(says("build -n lib").contains("build lib 1.2.13 "));
    assert!(says("build -n lib version=1.3.1").contains("build lib 1.3.1 "), "the command line is stronger");
    let shown = says("explain git --versions");
    for line in [
        "curl                     8.5.0 (>=7 asked for by git at packages/git/recipe.kdl:6:35)\n",
        "lib                      1.2.13 (<1.3 asked for by git at packages/git/recipe.kdl:6:15, pinned at pins.kdl:2:5; there is 1.3.1 too)\n",
        "git                      1 (the only one)\n",
    ] {
        assert!(shown.contains(line), "{line}{shown}");
    }
    // A pin that a dependent is not content with: one error with both places.
    says("recipe pin lib 1.3.1");
    let shown = says("build -n git");
    for part in [
        "packages/git/recipe.kdl:6:15: error: package lib: has the versions 1.3.1, 1.2.13, and none is",
        "<1.3 (asked for by git at packages/git/recipe.kdl:6:15) and =1.3.1 (pinned at pins.kdl:2:5)",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    for (words, part) in [
        ("recipe pin lib 9", "has the versions 1.3.1, 1.2.13, and none is =9"),
        ("recipe pin lbi 1", "did you mean 'lib'?"),
        ("recipe pin git --remove", "package git: is not pinned"),
        ("recipe pin --remove", "takes a package and no version"),
        ("recipe pin lib 1 2", "'2': is one word too many"),
    ] {
        let shown = says(words);
        assert!(shown.contains(part), "{words}: {shown}");
    }
    assert_eq!(says("recipe pin lib --remove"), "pins.kdl: changed\n");
    assert_eq!(says("recipe pin"), "");
    fs::write(folder.path().join("pins.kdl"), "pins format=1 {\n    lib \"1..2\"\n}\n").unwrap();
    let shown = says("build -n lib");
    assert!(
        shown.contains("pins.kdl:2:5: error: package lib: =1..2 is no condition on its versions (loose)"),
        "{shown}"
    );
}

#[test]
fn what_is_said_twice_in_two_ways_is_refused() {
    let folder = tree();
    for words in ["build -n curl -http2 --with http2", "build -n curl +http2 --without http2"] {
        let said = says(folder.path(), words);
        assert!(said.contains("behind curl exclude each other"), "{said}");
    }
    assert!(says(folder.path(), "build -n curl +http2 --with http2").contains("build curl"));
}

#[test]
fn a_pin_of_a_package_that_there_is_not_is_refused_and_can_be_taken_away() {
    let folder = tree();
    fs::write(folder.path().join("pins.kdl"), "pins format=1 {\n    crul \"1\"\n}\n").unwrap();
    let said = says(folder.path(), "explain curl");
    assert!(said.contains("pins.kdl:2:5: error: package crul: there is no"), "{said}");
    assert!(said.contains("did you mean 'curl'?"), "{said}");
    says(folder.path(), "recipe pin crul --remove");
    assert!(says(folder.path(), "explain curl").starts_with("curl 8.5.0"));
}

#[test]
fn pins_that_are_written_at_once_are_all_there() {
    let folder = tree();
    std::thread::scope(|scope| {
        for (name, version) in [("curl", "8.5.0"), ("openssl", "1"), ("libressl", "1"), ("git", "1")] {
            let folder = folder.path();
            scope.spawn(move || says(folder, &format!("recipe pin {name} {version}")));
        }
    });
    let listed = says(folder.path(), "recipe pin");
    assert_eq!(listed, "curl =8.5.0\ngit =1\nlibressl =1\nopenssl =1\n");
}

#[test]
fn info_tells_of_lines_of_every_version() {
    let folder = tree();
    let text = "recipe \"old\" {\n    version \"2\"\n    version \"1\" { depends { curl -x; }; }\n    description \"x\"\n    \
                license \"MIT\"\n    build-depends { curl; }\n    step \"install\" \"true\"\n}\n";
    let text = text.replace("curl -x", "curl ldap=#true");
    fs::create_dir(folder.path().join("packages/old")).unwrap();
    fs::write(folder.path().join("packages/old/recipe.kdl"), text).unwrap();
    let said = says(folder.path(), "info curl");
    assert!(said.contains("old (depends) +ldap at packages/old/recipe.kdl:3:"), "{said}");
    assert_eq!(said.matches("old (build-depends)").count(), 1, "{said}");
}

/// What is handed on was asked for by whoever hands it on, whatever the library's own recipe would be.
#[test]
fn what_a_library_inherits_is_explained_by_who_hands_it_on() {
    let folder = tree();
    let recipe = |name: &str, nodes: &str| {
        let text = format!(
            "recipe \"{name}\" {{\n    version \"1\"\n    description \"x\"\n    license \"MIT\"\n    {nodes}\n    step \"install\" \"true\"\n}}\n"
        );
        let path = folder.path().join(format!("packages/{name}/recipe.kdl"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    recipe(
        "zlib",
        "linkage \"static\" \"dynamic\" default=\"static\"\n    libc \"musl\" \"glibc\" default=\"musl\"",
    );
    recipe("tool", "linkage \"dynamic\"\n    libc \"musl\"\n    libraries { zlib; }");
    assert_eq!(
        says(folder.path(), "explain zlib --in tool"),
        "zlib 1 (the only one)\n  \
         libc=musl                asked for by tool at packages/tool/recipe.kdl:7:17\n      \
         libc=glibc: nothing but the id\n  \
         linkage=dynamic          asked for by tool at packages/tool/recipe.kdl:7:17\n      \
         linkage=static: nothing but the id\n"
    );
}
