//! Signed modules: a host takes files of its signers alone.

use std::path::{Path, PathBuf};

use tests::{Socket, program};

use crate::desk::{Asked, Desk, key, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_signers_takes_their_files_alone() {
    let desk = Desk::new();
    let (one, two) = (desk.copy("counter"), desk.copy("counter-2"));
    let signers = key(&desk, "ops.key").await;
    key(&desk, "other.key").await;
    let before = Asked::serve(&desk, "").await;
    let (status, said) = before.tidegate(&desk, &["deploy", "counter", text(&one)]).await;
    assert_eq!(status, 0, "{said}");
    before.stop().await;

    let asked = Asked::serve(&desk, &format!("[upload]\n{signers}")).await;
    // The version that was active before there were signers stays so.
    let mut socket = Socket::open(asked.host.address, "/count").await;
    socket.send("a").await;
    assert!(socket.text().await.starts_with("1:a:1"));
    let deploy = async |more: &[&str]| {
        asked.tidegate(&desk, &[&["deploy", "counter", text(&two)], more].concat()).await
    };
    let sign = async |key: &str, file: &Path| {
        let (status, said) = desk.tidegate(&["sign", text(file), "--key", key]).await;
        assert_eq!(status, 0, "{said}");
        PathBuf::from(said)
    };
    let (status, said) = deploy(&[]).await;
    assert!(
        status == 4 && said.contains("it is not signed") && said.contains("tidegate sign"),
        "{said}"
    );
    let beside = sign("other.key", &two).await;
    assert_eq!(beside, desk.path("counter-2.wasm.minisig"));
    let (status, said) = deploy(&[]).await;
    assert!(status == 4 && said.contains("takes only files that"), "{said}");
    let of_another = sign("ops.key", &one).await;
    let (status, said) = deploy(&["--signature", text(&of_another)]).await;
    assert!(status == 4 && said.contains("not that of this file"), "{said}");
    std::fs::write(&beside, "untrusted").unwrap();
    let (status, said) = deploy(&[]).await;
    assert!(status == 4 && said.contains("cannot be read"), "{said}");
    let (status, said) = deploy(&["--signature", "nowhere"]).await;
    assert!(status != 0 && said.contains("cannot read the signature nowhere"), "{said}");
    sign("ops.key", &two).await;
    let (status, said) = deploy(&[]).await;
    assert!(status == 0 && said.starts_with("counter 1 → 2 ("), "{said}");
    let signer = asked.last("counter").await["signed_by"].as_str().unwrap().to_owned();
    assert!(signer.len() == 16 && signer.bytes().all(|it| it.is_ascii_hexdigit()), "{signer}");
    let public = std::fs::read_to_string(desk.path("ops.key.pub")).unwrap();
    assert!(public.contains(&signer), "{public}");

    // The version before has no signature, so that nobody brings it back.
    let (status, said) = asked.tidegate(&desk, &["rollback", "counter"]).await;
    assert!(status == 4 && said.contains("version 1 of module counter is not activated"), "{said}");
    let (status, said) = asked.tidegate(&desk, &["deploy", "counter", text(&one)]).await;
    assert!(status == 0 && said.starts_with("counter 2 → 3 ("), "{said}");
    let (status, said) = asked.tidegate(&desk, &["rollback", "counter"]).await;
    assert!(status == 0 && said.starts_with("counter 3 → 2 ("), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_without_a_signature_is_deployed_again_with_one() {
    let desk = Desk::new();
    let one = desk.copy("counter");
    let signers = key(&desk, "ops.key").await;
    let before = Asked::serve(&desk, "").await;
    before.tidegate(&desk, &["deploy", "counter", text(&one)]).await;
    before.stop().await;
    let asked = Asked::serve(&desk, &format!("[upload]\n{signers}")).await;
    desk.tidegate(&["sign", text(&one), "--key", "ops.key"]).await;
    let (_, said) = asked.tidegate(&desk, &["deploy", "counter", text(&one)]).await;
    assert!(said.starts_with("counter 1 → 2 ("), "{said}");
    let (_, said) = asked.tidegate(&desk, &["deploy", "counter", text(&one)]).await;
    assert!(said.contains("is up to date"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn minisign_and_tidegate_read_the_signatures_of_each_other() {
    let Some(minisign) = program("minisign") else { return };
    let desk = Desk::new();
    let file = desk.copy("counter");
    let signers = key(&desk, "ops.key").await;
    let asked = Asked::serve(&desk, &format!("[upload]\n{signers}")).await;
    desk.tidegate(&["sign", text(&file), "--key", "ops.key", "--comment", "counter 1.2"]).await;
    let read = desk.run(&minisign, &["-V", "-p", "ops.key.pub", "-m", text(&file)]).await;
    assert!(read.status.success(), "{read:?}");
    assert!(
        String::from_utf8_lossy(&read.stdout).contains("Trusted comment: counter 1.2"),
        "{read:?}"
    );
    for (name, form, exit) in [("its", &["-H"][..], 0), ("old", &["-l"], 4)] {
        let signature = desk.path(name);
        let sign = ["-S", "-W", "-s", "ops.key", "-m", text(&file), "-x", text(&signature)];
        let signed = desk.run(&minisign, &[&sign, form].concat()).await;
        assert!(signed.status.success(), "{signed:?}");
        let deploy = ["deploy", "counter", text(&file), "--signature", text(&signature)];
        let (status, said) = asked.tidegate(&desk, &deploy).await;
        assert_eq!(status, exit, "{name}: {said}");
        assert!(exit == 0 || said.contains("minisign's old form"), "{said}");
    }
    // A key of minisign with a password, which a file gives.
    std::fs::write(desk.path("password"), "of the tide\n").unwrap();
    let (status, said) =
        desk.tidegate(&["signing-key", "locked.key", "--password-file", "password"]).await;
    assert_eq!(status, 0, "{said}");
    let sign = ["sign", text(&file), "--key", "locked.key"];
    let (status, said) =
        desk.tidegate(&[&sign[..], &["--password-file", "password"]].concat()).await;
    assert_eq!(status, 0, "{said}");
    let read = desk.run(&minisign, &["-V", "-p", "locked.key.pub", "-m", text(&file)]).await;
    assert!(read.status.success(), "{read:?}");
    std::fs::write(desk.path("password"), "wrong").unwrap();
    let (status, said) =
        desk.tidegate(&[&sign[..], &["--password-file", "password"]].concat()).await;
    assert!(status != 0 && said.contains("the password is not that of the key"), "{said}");
    let (status, said) = desk.tidegate(&sign).await;
    assert!(status != 0 && said.contains("there is no terminal"), "{said}");
    let (status, said) = desk.tidegate(&["sign", text(&file), "--key", "ops.key.pub"]).await;
    assert!(status != 0 && said.contains("no key to sign with"), "{said}");
    let (status, said) = desk.tidegate(&["signing-key", "ops.key", "--no-password"]).await;
    assert!(status != 0 && said.contains("there is a file ops.key already"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_version_without_a_signature_does_not_stand_in_for_one_that_is_damaged() {
    let desk = Desk::new();
    let (one, two) = (desk.copy("counter"), desk.copy("counter-2"));
    let signers = format!("[upload]\n{}", key(&desk, "ops.key").await);
    let before = Asked::serve(&desk, "").await;
    before.tidegate(&desk, &["deploy", "counter", text(&one)]).await;
    before.stop().await;
    let asked = Asked::serve(&desk, &signers).await;
    desk.tidegate(&["sign", text(&two), "--key", "ops.key"]).await;
    // It is not watched, so that nothing needs the version before it.
    let (api, wasm) = (asked.host.api(), std::fs::read(&two).unwrap());
    let signature = std::fs::read(desk.path("counter-2.wasm.minisig")).unwrap();
    let signature = data_encoding::BASE64.encode(&signature);
    let authorization = api.authorization();
    let fields = [("authorization", &*authorization), ("x-tidegate-signature", &signature)];
    let at = "/api/v1/modules/counter?probation=off";
    let reply = api.client().request("PUT", at, &fields, wasm).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    asked.stop().await;
    damage(&desk.path("data"), &std::fs::read(&two).unwrap());

    let asked = Asked::serve(&desk, &signers).await;
    let refused = Socket::try_open(asked.host.address, "/count", &[]).await.unwrap_err();
    assert_eq!(refused.status().as_u16(), 403, "it is no route of this host");
    let module = asked.host.api().module("counter").await;
    let fault = module["fault"].as_str().unwrap();
    assert!(fault.contains("version 1 cannot be served: it is not signed"), "{fault}");
    asked.stop().await;
    // Without signers it does.
    let asked = Asked::serve(&desk, "").await;
    let mut socket = Socket::open(asked.host.address, "/count").await;
    socket.send("a").await;
    assert!(socket.text().await.starts_with("1:a:1"));
    drop(socket);
    asked.stop().await;
}

/// Empties the file below a directory that has these bytes.
fn damage(directory: &Path, bytes: &[u8]) {
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if std::fs::read(&path).unwrap() == bytes {
                return std::fs::write(&path, "").unwrap();
            }
        }
    }
    panic!("no file has these bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_developed_is_not_given_to_hosts_that_ask_for_signatures() {
    let desk = Desk::new();
    let signers = key(&desk, "ops.key").await;
    let made = desk.tidegate(&["new", "tide"]).await;
    assert_eq!(made.0, 0, "{}", made.1);
    let settings = format!("[upload]\n{signers}\n[layer]\nurl = \"redis://127.0.0.1:1\"\n");
    std::fs::write(desk.path("shared.toml"), settings).unwrap();
    let (status, said) = desk.tidegate(&["dev", "--path", "tide", "--config", "shared.toml"]).await;
    assert!(status != 0 && said.contains("the other hosts of this layer"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signer_that_is_no_key_ends_the_start() {
    let desk = Desk::new();
    std::fs::write(desk.path("tidegate.toml"), "[upload]\nsigners = [\"RWQ\"]").unwrap();
    let (status, said) = desk.tidegate(&["check"]).await;
    assert!(status == 3 && said.contains("upload.signers: \"RWQ\" is no public key"), "{said}");
    // A variable that is empty takes no check away.
    let empty = [("TIDEGATE_UPLOAD_SIGNERS", "")];
    let (status, said) = desk.tidegate_with(&empty, &["check"]).await;
    assert!(status == 3 && said.contains("TIDEGATE_UPLOAD_SIGNERS: it is empty"), "{said}");
    std::fs::write(desk.path("tidegate.toml"), "[upload]\nsigners = []").unwrap();
    let (status, said) = desk.tidegate(&["check"]).await;
    assert!(status == 3 && said.contains("upload.signers: it names no key"), "{said}");
}
