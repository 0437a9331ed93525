//! What settings come to, and what is refused.

use std::path::Path;

use super::*;

fn read(text: &str) -> Result<Config, ConfigError> {
    let mut layers = Layers::default();
    layers.add_file("tidegate.toml", text)?;
    layers.finish()
}

fn refused(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

#[test]
fn nothing_set_means_the_documented_defaults() {
    let config = read("").unwrap();
    assert_eq!(config.listen[0].to_string(), "http://127.0.0.1:8000");
    assert_eq!(config.admin.to_string(), "127.0.0.1:8001");
    let limits = crate::engine::Limits::default();
    assert_eq!((limits.fuel, limits.host_calls), (1_000_000_000, 10_000));
    assert_eq!(config.layer.message_bytes, (1024 + 64) * 1024);
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_nearest_known_one() {
    assert_eq!(
        refused("slots = 4\n\n[limits]\nfule = 3\n"),
        "tidegate.toml line 4: there is no setting `fule`; did you mean `fuel`?"
    );
    assert!(refused("colour = 'red'").contains("there is no setting `colour`; there are: listen"));
    assert!(refused("[modules.a]\nfile = 'a'\nreuze = 2").contains("did you mean `reuse`?"));
}

#[test]
fn zero_is_refused_wherever_it_would_let_nothing_pass() {
    let table = [
        ("slots = 0", "slots"),
        ("[drain]\ngrace = '0s'", "drain.grace"),
        ("[drain]\nrate = 0", "drain.rate"),
        ("[interface]\nstreams = 0", "interface.streams"),
        ("[limits]\nfuel = 0", "limits.fuel"),
        ("[limits]\ndeadline = '0s'", "limits.deadline"),
        ("[limits]\nmemory = 0", "limits.memory"),
        ("[limits]\noutbox_messages = 0", "limits.outbox_messages"),
        ("[limits]\noutbox_bytes = 0", "limits.outbox_bytes"),
        ("[limits]\nlog_bytes = 0", "limits.log_bytes"),
        ("[limits]\nhost_calls = 0", "limits.host_calls"),
        ("[interface]\nbody_bytes = 0", "interface.body_bytes"),
        ("[layer]\ncapacity = 0", "layer.capacity"),
        ("[layer.capacities]\n'a.*' = 0", "layer.capacities.\"a.*\""),
        ("[breaker]\nfaults = 0", "breaker.faults"),
        ("[modules.a]\nfile = 'a'\nreuse = 0", "modules.a.reuse"),
        ("[modules.a]\nfile = 'a'\n[modules.a.limits]\nfuel = 0", "modules.a.limits.fuel"),
    ];
    for (text, place) in table {
        let expected = format!("{place}: 0 lets nothing pass; give at least 1, or leave it out");
        assert_eq!(refused(text), expected);
    }
}

#[test]
fn what_is_beyond_a_ceiling_or_has_no_unit_says_so() {
    assert!(refused("[limits]\nmemory = '257MiB'").contains("at most 268435456"));
    assert!(refused("[interface]\nbody_bytes = '9MiB'").contains("at most 8388608"));
    for name in ["uri_bytes", "header_bytes", "frame_bytes"] {
        let text = format!("[interface]\n{name} = 9223372036854775807");
        assert!(refused(&text).contains("at most 8388608"), "{name}");
    }
    assert!(refused("[interface]\nheader_count = 10001").contains("at most 10000"));
    for text in ["[limits]\ndeadline = '366days'", "[drain]\ndelay = '500000000000y'"] {
        assert!(refused(text).contains("at most 365 days"), "{text}");
    }
    for text in ["5", "2 parsec", ""] {
        assert_eq!(
            refused(&format!("[limits]\ndeadline = '{text}'")),
            format!(
                "tidegate.toml line 2: {text:?} is not a span of time: a number with a unit, such as \
                 \"5s\" or \"1m 30s\"; the units are ms, s, m, h and d"
            )
        );
    }
    assert!(refused("[limits]\nmemory = 'much'").contains("write \"64MiB\""));
    assert!(refused("[modules.A]\nfile = 'a'").contains("modules.A: a module's name"));
    assert!(
        refused("[layer.capacities]\n'a[' = 1").contains("is not a valid pattern of channel names")
    );
}

#[test]
fn the_environment_goes_over_the_file_and_flags_over_both() {
    let mut layers = Layers::default();
    layers.add_file("tidegate.toml", "slots = 1\n[limits]\nfuel = 1\nhost_calls = 1").unwrap();
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let variables = [
        set("TIDEGATE_LIMITS_FUEL", "2"),
        set("TIDEGATE_SLOTS", "2"),
        set("TIDEGATE_MODULES", "a=a.wasm,b=dir/b.wasm"),
        set("TIDEGATE_CONFIG", "elsewhere.toml"),
        set("HOME", "/"),
    ];
    from_environment(&mut layers, variables.into_iter()).unwrap();
    layers.add("--slots", toml::Table::from_iter([("slots".to_owned(), 3.into())])).unwrap();
    let config = layers.finish().unwrap();
    assert_eq!(config.worker.unwrap().slots, 3);
    let limits = &config.modules[1].settings.limits;
    assert_eq!((limits.fuel, limits.host_calls), (2, 1));
    assert_eq!(config.modules[1].file.as_deref(), Some(Path::new("dir/b.wasm")));
}

#[test]
fn over_redis_there_are_twice_as_many_slots() {
    let slots = |text: &str| {
        let mut layers = Layers::default();
        layers.add_file("tidegate.toml", text).unwrap();
        layers.finish().unwrap().worker.unwrap().slots
    };
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(slots(""), 4 * cores);
    assert_eq!(slots("layer.url = 'redis://127.0.0.1:1/0'"), 8 * cores);
    assert_eq!(slots("slots = 3\nlayer.url = 'redis://127.0.0.1:1/0'"), 3);
}

#[test]
fn an_unknown_variable_is_named() {
    let mut layers = Layers::default();
    let variable = ("TIDEGATE_LISTN".to_owned(), "x".to_owned());
    let error = from_environment(&mut layers, [variable].into_iter()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "TIDEGATE_LISTN: there is no setting `listn`; did you mean `listen`?"
    );
}

#[test]
fn capacities_are_tried_in_the_order_of_the_file() {
    use crate::message::ChannelName;

    let of = |text: &str| {
        let capacities = read(text).unwrap().layer.capacities;
        capacities.of(&ChannelName::parse("jobs.make").unwrap())
    };
    assert_eq!(of("[layer.capacities]\n'jobs.*' = 7\n'*' = 3"), 7);
    assert_eq!(of("[layer.capacities]\n'*' = 3\n'jobs.*' = 7"), 3);
}

#[test]
fn a_flag_may_give_the_file_of_a_module_whose_settings_stand_elsewhere() {
    let mut layers = Layers::default();
    layers.add_file("tidegate.toml", "[modules.a]\nreuse = 5").unwrap();
    let deployed = layers.clone().finish().unwrap();
    assert_eq!(deployed.modules[0].file, None, "a module that is deployed has no file");
    let flags = "[modules.a]\nfile = 'a.wasm'".parse().unwrap();
    layers.add("--module", flags).unwrap();
    assert_eq!(layers.finish().unwrap().modules[0].settings.reuse, 5);
}

#[test]
fn a_password_of_redis_is_text_and_shown_nowhere() {
    let url = "[layer]\nurl = 'redis://127.0.0.1:1/0'\n";
    read(&format!("{url}password = 'p,@/:#w'\nusername = 'app'")).unwrap();
    for value in ["4711", "4.711", "true", "['4711']"] {
        let told = refused(&format!("{url}password = {value}"));
        assert!(!told.contains("4711") && !told.contains("4.711"), "{told}");
    }
    let told = refused("[layer]\nurl = 'redis://:hush,quiet@127.0.0.1:6379/0'");
    assert!(told.contains("layer.url") && told.contains("%2C for a comma"), "{told}");
    assert!(!told.contains("hush") && !told.contains("quiet"), "{told}");
    let told = refused(&format!("{url}sentinel_username = 'a'"));
    assert!(told.contains("set layer.sentinel_password, too"), "{told}");
    let told = refused(&format!("{url}sentinel_tls = true"));
    assert!(told.contains("are for a URL with Sentinels"), "{told}");
    let mut layers = Layers::default();
    layers.add_file("tidegate.toml", url).unwrap();
    let variable = ("TIDEGATE_LAYER_PASSWORD".to_owned(), "007".to_owned());
    from_environment(&mut layers, [variable].into_iter()).unwrap();
    let shown = format!("{:?}", layers.finish().unwrap().backend);
    assert!(shown.contains("***@") && !shown.contains("007"), "{shown}");
}

#[test]
fn a_secret_comes_from_the_environment_and_is_never_shown() {
    let mut layers = Layers::default();
    layers.add_file("tidegate.toml", "[auth.web]\nalgorithms = ['HS256']").unwrap();
    let secret = "0".repeat(31) + "7";
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let variables =
        [set("TIDEGATE_AUTH_WEB_SECRET", &secret), set("TIDEGATE_AUTH_WEB_AUDIENCE", "a,b")];
    from_environment(&mut layers, variables.into_iter()).unwrap();
    let shown = format!("{:?}", layers.finish().unwrap().auth);
    assert!(!shown.contains("007") && shown.contains(r#"["a", "b"]"#), "{shown}");
    let mut layers = Layers::default();
    let wrong = set("TIDEGATE_AUTH_WEB_SECRETS", &secret);
    let error = from_environment(&mut layers, [wrong].into_iter()).unwrap_err().to_string();
    assert!(error.contains("did you mean `secret`?") && !error.contains("007"), "{error}");
}

#[test]
fn a_wrong_type_is_told_without_words_of_rust() {
    for (text, expected) in [
        ("slots = 'many'", "\"many\" is not a whole number, 0 or more"),
        ("slots = -1", "-1 is not a whole number, 0 or more"),
        ("slots = 1.5", "1.5 is not a whole number, 0 or more"),
        ("worker = 1", "1 is not true or false"),
        ("log = 3", "3 is not a text in quotes"),
        ("log_format = 'xml'", "`xml` is not a value of this setting; there are: text, json"),
        ("data_dir = 3", "3 is not a path in quotes"),
        ("admin = 'here'", "it is not an IP address with a port, such as \"127.0.0.1:8001\""),
        ("limits = 3", "3 is not a section of names with values"),
        ("modules = ['a']", "a list is not a section of names with values"),
        ("[limits]\nmemory = true", "true is not a number of bytes, such as \"64MiB\""),
        (
            "[modules.a]\non_fault = 'closed'",
            "`closed` is not a value of this setting; did you mean `close`?",
        ),
        ("[interface]\nforwarding = 'all'", "`all` is not a value of this setting; there are: "),
    ] {
        let told = refused(text);
        assert!(told.contains(expected), "{text}: {told}");
    }
}

/// What Kubernetes sets for Services named `tidegate` and `tidegate-layer`.
const OF_SERVICES: [(&str, &str); 12] = [
    ("TIDEGATE_SERVICE_HOST", "10.0.0.1"),
    ("TIDEGATE_SERVICE_PORT", "8000"),
    ("TIDEGATE_SERVICE_PORT_HTTP_ALT", "8000"),
    ("TIDEGATE_PORT", "tcp://10.0.0.1:8000"),
    ("TIDEGATE_PORT_8000_TCP", "tcp://10.0.0.1:8000"),
    ("TIDEGATE_PORT_8000_TCP_PROTO", "tcp"),
    ("TIDEGATE_PORT_8000_TCP_PORT", "8000"),
    ("TIDEGATE_PORT_8000_TCP_ADDR", "10.0.0.1"),
    ("TIDEGATE_PORT_53_UDP", "udp://[fd00::1]:53"),
    ("TIDEGATE_LAYER_SERVICE_HOST", "fd00::1"),
    ("TIDEGATE_LAYER_PORT", "tcp://10.0.0.2:6379"),
    ("TIDEGATE_LAYER_PORT_6379_TCP_ADDR", "10.0.0.2"),
];

#[test]
fn variables_of_a_kubernetes_service_are_passed_over_and_what_only_looks_like_one_is_refused() {
    let read = |name: &str, value: &str| {
        let mut layers = Layers::default();
        let variable = [(name.to_owned(), value.to_owned())];
        from_environment(&mut layers, variable.into_iter()).map_err(|error| error.to_string())
    };
    for (name, value) in OF_SERVICES {
        assert_eq!(read(name, value), Ok(()), "{name}");
    }
    for (name, value) in [
        ("TIDEGATE_PORT", "8000"),
        ("TIDEGATE_PORT", "http://10.0.0.1:8000"),
        ("TIDEGATE_SERVICE_HOST", "tidegate.default.svc"),
        ("TIDEGATE_SERVICE_PORT", "http"),
        ("TIDEGATE_PORT_8000_HTTP", "tcp://10.0.0.1:8000"),
        ("TIDEGATE_PORT_8000_TCP_NAME", "web"),
        ("TIDEGATE_SUPPORT", "tcp://10.0.0.1:8000"),
    ] {
        let told = read(name, value).unwrap_err();
        assert!(told.starts_with(&format!("{name}: there is no setting")), "{told}");
    }
}

#[test]
fn a_text_in_the_environment_may_look_like_a_number() {
    let mut layers = Layers::default();
    let url = ("TIDEGATE_LAYER_URL", "redis://127.0.0.1:1/0");
    let variables = [url, ("TIDEGATE_LAYER_PREFIX", "7")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    from_environment(&mut layers, variables.into_iter()).unwrap();
    let Backend::Redis(redis) = layers.finish().unwrap().backend else { panic!("it is Redis") };
    assert_eq!(redis.prefix, "7");
}
