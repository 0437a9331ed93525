//! What the standard variables `OTEL_*` ask for. Endpoint, header fields and compression are read by the library; what it
//! would pass over in silence is checked here.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use opentelemetry::trace::{SpanKind, TraceId};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample as _};

use crate::message::{CorrelationId, TraceContext};

/// A variable cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {rule}")]
pub struct VariableError {
    /// Its name.
    pub name: String,
    /// The rule that it breaks.
    pub rule: String,
}

/// How spans and lines of guests go to a collector, as the environment says.
#[derive(Clone, Debug, PartialEq)]
pub struct TracesConfig {
    pub(super) sampling: Sampling,
    /// None: spans stay here.
    pub(super) spans: Option<Batching>,
    /// None: lines stay here.
    pub(super) lines: Option<Batching>,
}

/// How one signal is sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Batching {
    pub(super) protocol: Protocol,
    /// Whether TLS is spoken.
    pub(super) is_secure: bool,
    /// How long one request may take.
    pub(super) request_timeout: Duration,
    /// How long what is ready waits for more.
    pub(super) delay: Duration,
    /// How long a batch may take, with what is tried again.
    pub(super) timeout: Duration,
    /// How many wait at most.
    pub(super) queue: usize,
    /// How many are sent at once.
    pub(super) batch: usize,
}

/// The form in which OTLP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http,
    Grpc,
}

/// Which traces are sampled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sampling {
    /// Whether a span does as its parent does.
    by_parent: bool,
    /// The share of traces, from 0 to 1.
    share: f64,
}

impl Sampling {
    /// Decides whether a span is sampled. All processes decide alike for one trace.
    pub(super) fn takes(self, trace: CorrelationId, parent: Option<TraceContext>) -> bool {
        if let Some(parent) = parent.filter(|_| self.by_parent) {
            return parent.sampled;
        }
        if self.share >= 1.0 || self.share <= 0.0 {
            return self.share >= 1.0;
        }
        let (trace, kind) = (TraceId::from_bytes(trace.to_bytes()), SpanKind::Internal);
        let sampler = Sampler::TraceIdRatioBased(self.share);
        let result = sampler.should_sample(None, trace, "", &kind, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
    }
}

/// The variables of one signal.
struct Signal {
    /// Between `OTEL_` and `_EXPORTER`, and in the names of its endpoint, protocol and timeout.
    name: &'static str,
    /// Between `OTEL_` and `_SCHEDULE_DELAY`.
    processor: &'static str,
    delay_milliseconds: u64,
}

const SPANS: Signal = Signal { name: "TRACES", processor: "BSP", delay_milliseconds: 5_000 };
const LINES: Signal = Signal { name: "LOGS", processor: "BLRP", delay_milliseconds: 1_000 };

impl TracesConfig {
    /// Reads the environment of this process. None: nothing is to be sent.
    pub fn from_environment() -> Result<Option<Self>, VariableError> {
        Self::read(&|name| std::env::var(name).ok())
    }

    fn read(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, VariableError> {
        // An empty variable is one that is not there.
        let given = |name: &str| variable(name).filter(|value| !value.is_empty());
        let variables = Variables(&given);
        if variables.text("OTEL_SDK_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let (spans, lines) = (variables.signal(&SPANS)?, variables.signal(&LINES)?);
        if spans.is_none() && lines.is_none() {
            return Ok(None);
        }
        Ok(Some(Self { sampling: variables.sampling()?, spans, lines }))
    }
}

struct Variables<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    fn text(&self, name: &str) -> Option<String> {
        (self.0)(name)
    }

    fn number(&self, name: &str, default: u64, least: u64) -> Result<u64, VariableError> {
        let Some(text) = self.text(name) else { return Ok(default) };
        let number = text.trim().parse().ok().filter(|number| *number >= least);
        number
            .ok_or_else(|| wrong(name, format!("{text:?} is not a whole number, {least} or more")))
    }

    /// The value for one signal, or that for all.
    fn of(&self, signal: &Signal, what: &str) -> Option<(String, String)> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{what}", signal.name);
        let common = format!("OTEL_EXPORTER_OTLP_{what}");
        [own, common].into_iter().find_map(|name| Some((self.text(&name)?, name)))
    }

    fn signal(&self, signal: &Signal) -> Result<Option<Batching>, VariableError> {
        let exporter = format!("OTEL_{}_EXPORTER", signal.name);
        match self.text(&exporter).as_deref() {
            None | Some("otlp") => {}
            Some("none") => return Ok(None),
            Some(other) => {
                return Err(wrong(
                    &exporter,
                    format!("{other:?} is neither \"otlp\" nor \"none\""),
                ));
            }
        }
        let Some(is_secure) = self.endpoint(signal)? else { return Ok(None) };
        let protocol = self.protocol(signal)?;
        self.check_what_the_library_reads(signal)?;
        let timeout = match self.of(signal, "TIMEOUT") {
            None => 10_000,
            Some((_, name)) => self.number(&name, 10_000, 1)?,
        };
        let own = |what: &str| format!("OTEL_{}_{what}", signal.processor);
        let milliseconds =
            |what: &str, default| self.number(&own(what), default, 1).map(Duration::from_millis);
        let count = |what: &str, default| {
            let number = self.number(&own(what), default, 1)?;
            let too_many = |_| wrong(&own(what), format!("{number} is too many"));
            u32::try_from(number).map(|number| number as usize).map_err(too_many)
        };
        let queue = count("MAX_QUEUE_SIZE", 2_048)?;
        Ok(Some(Batching {
            protocol,
            is_secure,
            request_timeout: Duration::from_millis(timeout),
            delay: milliseconds("SCHEDULE_DELAY", signal.delay_milliseconds)?,
            timeout: milliseconds("EXPORT_TIMEOUT", 30_000)?,
            queue,
            batch: count("MAX_EXPORT_BATCH_SIZE", 512)?.min(queue),
        }))
    }

    /// Whether TLS is spoken with the collector. None: there is no collector.
    fn endpoint(&self, signal: &Signal) -> Result<Option<bool>, VariableError> {
        let Some((endpoint, name)) = self.of(signal, "ENDPOINT") else { return Ok(None) };
        let is_secure = endpoint.starts_with("https://");
        if !is_secure && !endpoint.starts_with("http://") {
            let rule = format!("{endpoint:?} does not begin with http:// or https://");
            return Err(wrong(&name, rule));
        }
        let uri = endpoint.parse::<http::Uri>().ok();
        let authority = uri.as_ref().and_then(http::Uri::authority);
        match authority.filter(|authority| !authority.host().is_empty()) {
            // The client would pass over it, and error texts might show it.
            Some(authority) if authority.as_str().contains('@') => {
                let rule = "a URL with a user is not used; OTEL_EXPORTER_OTLP_HEADERS has fields";
                Err(wrong(&name, rule.to_owned()))
            }
            Some(_) => Ok(Some(is_secure)),
            None => Err(wrong(&name, format!("{endpoint:?} is not a URL"))),
        }
    }

    fn protocol(&self, signal: &Signal) -> Result<Protocol, VariableError> {
        let Some((text, name)) = self.of(signal, "PROTOCOL") else { return Ok(Protocol::Http) };
        match text.as_str() {
            "http/protobuf" => Ok(Protocol::Http),
            "grpc" => Ok(Protocol::Grpc),
            other => {
                let rule = format!("{other:?} is neither \"http/protobuf\" nor \"grpc\"");
                Err(wrong(&name, rule))
            }
        }
    }

    /// Refuses what the library would pass over without a word.
    fn check_what_the_library_reads(&self, signal: &Signal) -> Result<(), VariableError> {
        for what in ["CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"] {
            if let Some((_, name)) = self.of(signal, what) {
                let rule = "it is not heard; authorities are those of the system";
                return Err(wrong(&name, rule.to_owned()));
            }
        }
        if let Some((text, name)) = self.of(signal, "COMPRESSION")
            && !["gzip", "none"].iter().any(|known| text.eq_ignore_ascii_case(known))
        {
            return Err(wrong(&name, format!("{text:?} is neither \"gzip\" nor \"none\"")));
        }
        if let Some((text, name)) = self.of(signal, "HEADERS")
            && !text.split_terminator(',').all(is_header)
        {
            // The values may be secrets.
            return Err(wrong(&name, "it is not name=value with commas between".to_owned()));
        }
        Ok(())
    }

    fn sampling(&self) -> Result<Sampling, VariableError> {
        const NAME: &str = "OTEL_TRACES_SAMPLER";
        const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
        let text = self.text(NAME).unwrap_or_else(|| "parentbased_always_on".to_owned());
        let (by_parent, rest) = match text.strip_prefix("parentbased_") {
            Some(rest) => (true, rest),
            None => (false, text.as_str()),
        };
        let share = match rest {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => match self.text(ARGUMENT) {
                None => 1.0,
                Some(text) => {
                    let share = text.trim().parse().ok().filter(|it| (0.0..=1.0).contains(it));
                    let rule = || format!("{text:?} is not a number from 0 to 1");
                    share.ok_or_else(|| wrong(ARGUMENT, rule()))?
                }
            },
            _ => {
                let rule = format!(
                    "{text:?} is not one of always_on, always_off, traceidratio, each also with \
                     parentbased_ before it"
                );
                return Err(wrong(NAME, rule));
            }
        };
        Ok(Sampling { by_parent, share })
    }
}

/// Whether a text is a header field, with its value in the form of URLs.
fn is_header(text: &str) -> bool {
    text.split_once('=').is_some_and(|(name, value)| {
        let value: Vec<u8> = percent_encoding::percent_decode_str(value.trim()).collect();
        HeaderName::try_from(name.trim()).is_ok()
            && !value.is_empty()
            && str::from_utf8(&value).is_ok_and(|value| HeaderValue::from_str(value).is_ok())
    })
}

fn wrong(name: &str, rule: String) -> VariableError {
    VariableError { name: name.to_owned(), rule }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The variable that turns both signals on.
    const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

    fn read(variables: &[(&str, &str)]) -> Result<Option<TracesConfig>, VariableError> {
        TracesConfig::read(&|name| {
            variables.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned())
        })
    }

    const ON: (&str, &str) = (ENDPOINT, "http://127.0.0.1:4318");

    #[test]
    fn nothing_is_sent_without_an_endpoint() {
        for variables in [
            &[][..],
            &[(ENDPOINT, "")],
            &[("OTEL_SERVICE_NAME", "chat"), ("OTEL_TRACES_SAMPLER", "nonsense")],
            &[ON, ("OTEL_SDK_DISABLED", "true")],
            &[ON, ("OTEL_TRACES_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "none")],
        ] {
            assert_eq!(read(variables), Ok(None), "{variables:?}");
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_specification() {
        let config = read(&[ON]).unwrap().unwrap();
        assert_eq!(config.sampling, Sampling { by_parent: true, share: 1.0 });
        let spans = config.spans.unwrap();
        assert_eq!((spans.protocol, spans.is_secure), (Protocol::Http, false));
        assert_eq!((spans.queue, spans.batch), (2_048, 512));
        assert_eq!(spans.delay, Duration::from_secs(5));
        assert_eq!(spans.timeout, Duration::from_secs(30));
        assert_eq!(spans.request_timeout, Duration::from_secs(10));
        assert_eq!(config.lines.unwrap().delay, Duration::from_secs(1));
    }

    #[test]
    fn a_signal_has_variables_of_its_own() {
        let config = read(&[
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector:4317"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "700"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "GZIP"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20YTpi, x-key=a=b,"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ]);
        let config = config.unwrap().unwrap();
        assert_eq!(config.lines, None);
        let spans = config.spans.unwrap();
        assert_eq!((spans.protocol, spans.is_secure), (Protocol::Grpc, true));
        assert_eq!(spans.request_timeout, Duration::from_millis(700));
        // A batch fits into the queue.
        assert_eq!((spans.queue, spans.batch, spans.delay.as_millis()), (100, 100, 50));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_rule() {
        for (name, value, rule) in [
            (ENDPOINT, "localhost:4318", "does not begin with http:// or https://"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "is neither \"http/protobuf\" nor"),
            ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "0", "is not a whole number, 1 or more"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://:4318", "is not a URL"),
            (ENDPOINT, "https://me:secret@collector", "a URL with a user is not used"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem", "authorities are those of the system"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "is neither \"gzip\" nor \"none\""),
            ("OTEL_EXPORTER_OTLP_HEADERS", "secret", "it is not name=value"),
            ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "a=b,b c=secret", "it is not name=value"),
            ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "a=secret%00", "it is not name=value"),
            ("OTEL_TRACES_EXPORTER", "zipkin", "is neither \"otlp\" nor \"none\""),
            ("OTEL_TRACES_SAMPLER", "xray", "is not one of always_on, always_off"),
            ("OTEL_TRACES_SAMPLER_ARG", "1.5", "is not a number from 0 to 1"),
            ("OTEL_BLRP_MAX_QUEUE_SIZE", "many", "is not a whole number"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "99999999999", "is too many"),
        ] {
            let sampler = ("OTEL_TRACES_SAMPLER", "traceidratio");
            // The first one counts.
            let error = read(&[(name, value), ON, sampler]).unwrap_err();
            assert_eq!(error.name, name);
            assert!(error.rule.contains(rule), "{error}");
            assert!(!error.rule.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_span_is_sampled_as_its_parent_or_by_the_trace_alone() {
        let sampling = |name: &str, share: &str| {
            let variables = [ON, ("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", share)];
            read(&variables).unwrap().unwrap().sampling
        };
        let (trace, [no, yes]) =
            (CorrelationId::random(), [false, true].map(|it| Some(TraceContext::random(it))));
        let on = sampling("parentbased_always_on", "");
        assert_eq!([None, no, yes].map(|it| on.takes(trace, it)), [true, false, true]);
        let off = sampling("parentbased_always_off", "");
        assert_eq!([None, no, yes].map(|it| off.takes(trace, it)), [false, false, true]);
        let all = sampling("always_on", "");
        assert_eq!([None, no, yes].map(|it| all.takes(trace, it)), [true, true, true]);

        let tenth = sampling("parentbased_traceidratio", "0.1");
        let traces: Vec<_> = (0..4_000).map(|_| CorrelationId::random()).collect();
        let taken = |of: Sampling| traces.iter().filter(|trace| of.takes(**trace, None)).count();
        assert!((250..550).contains(&taken(tenth)), "{}", taken(tenth));
        assert_eq!(taken(tenth), taken(tenth), "the trace decides");
        assert_eq!(taken(sampling("traceidratio", "0")), 0);
        assert_eq!(taken(sampling("traceidratio", "1")), traces.len());
    }
}
