//! Modules of other versions, and names of the contract that the host does not know.

use tests::{Admin, Host, guest, run};

use super::{
    built_against,
    handmade::{Declare, Handmade, declaring, wit},
};
use crate::{
    TIDEGATE,
    api::{state, versioned, wasip1::core_module},
    redis::mixed::release,
};

/// A file is refused, and the version that was there before stays active.
async fn refused(api: &Admin, file: Vec<u8>, code: &str, said: &str) {
    let before = state(api).await;
    let (status, got, detail) = api.refused("PUT", "modules/v", file).await;
    assert_eq!((status, &*got), (422, code), "{detail}");
    assert!(detail.contains(said), "{detail}");
    assert_eq!(state(api).await, before);
}

async fn serving() -> Host {
    let host = Host::builder().compiler(TIDEGATE).start().await;
    host.admin().done("PUT", "modules/v", versioned("versioned", 1)).await;
    host
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_of_the_contract_is_refused_with_both_and_what_to_do() {
    let host = serving().await;
    let component = std::fs::read(guest("scope")).unwrap();
    for (wasm, version) in [
        (&component, "0.0.9"),
        (&component, "0.2.0"),
        (&core_module(), "0.0.9"),
        (&core_module(), "0.2.0"),
    ] {
        let said = format!(
            "built against tidegate:channels@{version}, and this host speaks tidegate:channels 0.1 \
             up to 0.1.1; build it with a tidegate-sdk for 0.1, or deploy it to a host that speaks \
             {version}"
        );
        let file = built_against(wasm.clone(), version);
        refused(&host.admin(), file, "contract", &said).await;
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pre_release_of_the_contract_is_refused() {
    let host = serving().await;
    let early = Handmade { version: "0.1.1-rc.1", ..Handmade::default() };
    let said = "0.1 up to 0.1.1 (a pre-release stands for itself)";
    refused(&host.admin(), early.build(), "contract", said).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_the_host_does_not_know_is_refused_with_the_version_that_may() {
    let host = serving().await;
    let archive = |version: &'static str, import, line| Handmade {
        packages: vec![
            format!("package tidegate:channels@{version};\ninterface archive {{ ping: func(); }}")
                .into(),
        ],
        world: vec![line],
        imports: vec![(import, "ping", 0)],
        ..Handmade::default()
    };
    let later = archive(
        "0.1.2",
        "tidegate:channels/archive@0.1.2",
        "import tidegate:channels/archive@0.1.2;",
    );
    let said = "it imports tidegate:channels/archive@0.1.2, which this host does not know: of \
                tidegate:channels up to 0.1.1 it offers connection, declared, history, invocation, layer, log, online, outside, presence, reply, sessions, store, timers, types, users; \
                deploy it to a host that speaks 0.1.2, or build it without what needs this";
    refused(&host.admin(), later.build(), "imports", said).await;
    let misnamed = archive(
        "0.1.1",
        "tidegate:channels/archive@0.1.1",
        "import tidegate:channels/archive@0.1.1;",
    );
    let said = "build it against the WIT of this host";
    refused(&host.admin(), misnamed.build(), "imports", said).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_the_host_does_not_know_is_refused_since_it_may_be_a_guard() {
    let host = serving().await;
    let guarded = Handmade {
        packages: vec![
            "package tidegate:channels@0.1.2;\ninterface guard { check: func(); }".into(),
        ],
        world: vec!["export tidegate:channels/guard@0.1.2;"],
        exports: vec!["tidegate:channels/guard@0.1.2#check"],
        ..Handmade::default()
    };
    let said = "it exports tidegate:channels/guard@0.1.2, which this host does not know: of \
                tidegate:channels up to 0.1.1 it reads consumer, declarations; deploy it to a host \
                that speaks 0.1.2";
    refused(&host.admin(), guarded.build(), "exports", said).await;

    let other_package = Handmade {
        packages: vec!["package tidegate:guards@0.1.0;\ninterface guard { check: func(); }".into()],
        world: vec!["export tidegate:guards/guard@0.1.0;"],
        exports: vec!["tidegate:guards/guard@0.1.0#check"],
        ..Handmade::default()
    };
    let said = "it exports tidegate:guards/guard@0.1.0, which this host does not know";
    refused(&host.admin(), other_package.build(), "exports", said).await;

    let loose = Handmade {
        world: vec!["export declare: func() -> list<u8>;"],
        declare: Some(Declare::Bytes(vec![0x80])),
        declared_as: vec!["declare"],
        ..Handmade::default()
    };
    let said = "export it in tidegate:channels/declarations@0.1.1";
    refused(&host.admin(), loose.build(), "exports", said).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_from_before_declarations_refuses_a_module_that_declares_and_takes_others() {
    let directory = tempfile::tempdir().unwrap();
    let check = async |file: &str, module: Handmade| {
        std::fs::write(directory.path().join(file), module.build()).unwrap();
        let module = format!("v={file}");
        run(&release(), directory.path(), &["check", "--module", &module]).await
    };
    let plain = check("plain.wasm", Handmade::default()).await;
    assert!(plain.status.success(), "{plain:?}");
    let declares = check("declares.wasm", declaring(Declare::Bytes(vec![0x80]))).await;
    assert_eq!(declares.status.code(), Some(4), "{declares:?}");
    let said = String::from_utf8_lossy(&declares.stderr);
    assert!(said.contains("it was built against tidegate:channels@0.1.1"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_module_may_import_an_interface_in_two_releases_and_export_it_in_one() {
    let host = serving().await;
    let twice = Handmade {
        packages: vec![wit("wit", "0.1.0", "0.1.9").into()],
        world: vec!["import tidegate:channels/log@0.1.9;"],
        imports: vec![
            ("tidegate:channels/log@0.1.0", "log", 3),
            ("tidegate:channels/log@0.1.9", "log", 3),
        ],
        ..Handmade::default()
    };
    host.admin().done("PUT", "modules/both", twice.build()).await;

    let mut exported = declaring(Declare::Bytes(vec![0x80]));
    exported.packages.push(wit("wit/0.1.1", "0.1.1", "0.1.2").into());
    exported.world.push("export tidegate:channels/declarations@0.1.2;");
    exported.declared_as.push("tidegate:channels/declarations@0.1.2#declare");
    let said = "it exports declarations of tidegate:channels@0.1.1 and of @0.1.2, which are one to \
                this host; export it once";
    refused(&host.admin(), exported.build(), "exports", said).await;
    host.stop().await;
}
