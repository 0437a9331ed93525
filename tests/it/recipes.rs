//! Projects that say in `[build]` of `tidegate.toml` how they are built, as those in other languages than Rust.

use std::{fs, path::Path};

use tests::{Develop, Socket, guest, run};

use crate::TIDEGATE;

/// A project whose sources say which file is its module.
fn project(path: &Path) {
    let recipe = "[build]\nname = 'tide'\ncommand = ['sh', 'build.sh']\nfile = 'build/tide.wasm'\n\
                  [modules.tide]\nreuse = 3\n";
    fs::write(path.join("tidegate.toml"), recipe).unwrap();
    fs::write(path.join("build.sh"), "echo building; cp \"$(cat which.txt)\" build/tide.wasm\n")
        .unwrap();
    choose(path, &guest("versioned"));
}

fn choose(path: &Path, module: &Path) {
    fs::write(path.join("which.txt"), module.display().to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipe_builds_also_from_below_and_prints_its_tools_beside_the_result() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    project(path);
    fs::create_dir(path.join("pages")).unwrap();
    let built = run(TIDEGATE, &path.join("pages"), &["build", "--json"]).await;
    assert!(built.status.success(), "{built:?}");
    assert_eq!(String::from_utf8_lossy(&built.stderr), "building\n");
    let said: serde_json::Value = serde_json::from_slice(&built.stdout).unwrap();
    let file = fs::read(said["file"].as_str().unwrap()).unwrap();
    assert_eq!(file, fs::read(guest("versioned")).unwrap());
    assert_eq!((said["package"].as_str(), said["target"].is_null()), (Some("tide"), true));

    fs::write(path.join("build.sh"), "exit 3").unwrap();
    let failed = run(TIDEGATE, path, &["build"]).await;
    let said = String::from_utf8_lossy(&failed.stderr);
    assert_eq!(failed.status.code(), Some(9), "{said}");
    assert!(said.contains("tide cannot be built (exit status: 3)"), "{said}");
    fs::write(path.join("build.sh"), "echo nothing").unwrap();
    let nothing = run(TIDEGATE, path, &["build"]).await;
    let said = String::from_utf8_lossy(&nothing.stderr);
    assert!(nothing.status.code() == Some(9) && said.contains("build/tide.wasm"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_any_source_is_live_on_the_open_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap();
    project(&path);
    let mut dev = Develop::start(TIDEGATE, &path).await;
    dev.says("tide 1 (").await;
    let mut socket = Socket::open(dev.address, "/count").await;
    socket.send("x").await;
    assert_eq!(socket.text().await, "1:x:1");
    choose(&path, Path::new("/nowhere"));
    dev.says("tide does not compile").await;
    dev.says("version 1 (").await;
    choose(&path, &guest("versioned-2"));
    dev.says("tide 1 → 2 (").await;
    socket.send("y").await;
    assert_eq!(socket.text().await, "1:y:2", "the state is there");
    assert_eq!(dev.stop("INT").await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_in_another_language_says_how_it_is_built_and_what_its_module_needs() {
    let directory = tempfile::tempdir().unwrap();
    // A word of Rust is a name in other languages.
    for (language, program) in [
        ("python", "venv/bin/tidegate-sdk"),
        ("javascript", "node_modules/.bin/tidegate-sdk"),
        ("typescript", "node_modules/.bin/tidegate-sdk"),
    ] {
        for template in ["http", "websocket", "channel"] {
            let name = format!("{language}-{template}");
            let arguments = ["new", &name, "--language", language, "--template", template];
            let made = run(TIDEGATE, directory.path(), &arguments).await;
            assert!(made.status.success(), "{made:?}");
            let path = directory.path().join(&name);
            let settings = fs::read_to_string(path.join("tidegate.toml")).unwrap();
            for part in
                [format!("name = \"{name}\""), program.to_owned(), format!("[modules.{name}]")]
            {
                assert!(settings.contains(&part), "{part}: {settings}");
            }
            let checked = run(TIDEGATE, &path, &["check"]).await;
            assert!(checked.status.success(), "{checked:?}");
            assert_eq!(path.join("page.html").is_file(), template == "websocket");
        }
        let named = run(TIDEGATE, directory.path(), &["new", "fn", "--language", language]).await;
        assert!(named.status.success(), "{named:?}");
        fs::remove_dir_all(directory.path().join("fn")).unwrap();
    }
}
