//! Settings as people write them: an error that says where, or settings that can be worked with.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use tidegate::config::{ConfigError, Layers, from_environment};

const FILE: &str = "tidegate.toml";

fuzz_target!(|text: &str| {
    let mut layers = Layers::default();
    if let Err(error) = layers.add_file(FILE, text) {
        assert!(line_of(&error) <= 1 + text.matches('\n').count(), "{error}");
    }
    // As variables, one a line, over the file.
    let variables = text.lines().filter_map(|line| line.split_once('='));
    let variables = variables.map(|(name, value)| (format!("TIDEGATE_{name}"), value.to_owned()));
    if let Err(error) = from_environment(&mut layers, variables) {
        assert!(error.to_string().contains("TIDEGATE_"), "{error}");
    }
    if let Ok(config) = layers.finish() {
        let interface = &config.interface;
        assert!(!config.listen.is_empty() && interface.body_bytes > 0 && interface.frame_bytes > 0);
        let limits = &interface.limits;
        assert!(limits.header_bytes + limits.uri_bytes + limits.header_count < usize::MAX / 64);
        // As when an event is sent: no sum of times is beyond the clock.
        let now = Instant::now();
        let mut end = now + interface.timeouts.body + config.layer.expiry;
        for module in &config.modules {
            end = end.max(now + module.settings.event_expiry + module.settings.limits.deadline);
        }
        assert!(end > now);
        assert!(config.layer.message_bytes > interface.body_bytes.max(interface.frame_bytes));
    }
});

/// The line that an error of the file names.
fn line_of(error: &ConfigError) -> usize {
    let text = error.to_string();
    let line = text.strip_prefix(FILE).and_then(|rest| rest.strip_prefix(" line "));
    let line = line.and_then(|rest| rest.split_once(':')).expect("an error names file and line");
    line.0.parse().expect("a line is a number")
}
