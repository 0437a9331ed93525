//! The place of a message in a trace of OpenTelemetry. The trace is that of the correlation id.

use std::num::NonZeroU64;

use super::CorrelationId;

/// Characters of `traceparent` in version 00 of W3C Trace Context.
const TRACE_PARENT_LENGTH: usize = 55;
/// The flag that a trace is sampled.
const SAMPLED: u8 = 1;

/// A span, as those know it that it causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The id of the span.
    pub span: NonZeroU64,
    /// Whether the span goes to a collector, as far as its maker decides.
    pub sampled: bool,
}

impl TraceContext {
    /// Makes a span with a random id.
    pub fn random(sampled: bool) -> Self {
        Self { span: NonZeroU64::new(rand::random()).unwrap_or(NonZeroU64::MAX), sampled }
    }

    /// Reads a value of `traceparent`, as W3C Trace Context says (section 3.2): one of a later version is read as far
    /// as this one goes. None: it is not valid, and does not count.
    pub fn parse(text: &str) -> Option<(CorrelationId, Self)> {
        let is_hex = |text: &str| text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
        let (known, rest) = text.split_at_checked(TRACE_PARENT_LENGTH)?;
        let fields: Vec<_> = known.split('-').collect();
        let [version, trace, span, flags] = *fields.as_slice() else { return None };
        let lengths = [version.len(), trace.len(), span.len(), flags.len()];
        let is_valid = lengths == [2, 32, 16, 2] && fields.iter().all(|field| is_hex(field));
        let goes_on = version != "00" && rest.starts_with('-');
        if !is_valid || version == "ff" || !(rest.is_empty() || goes_on) {
            return None;
        }
        let trace: CorrelationId = trace.parse().ok()?;
        let span = NonZeroU64::new(u64::from_str_radix(span, 16).ok()?)?;
        let sampled = u8::from_str_radix(flags, 16).ok()? & SAMPLED != 0;
        (trace.0 != 0).then_some((trace, Self { span, sampled }))
    }

    /// Writes it as a value of `traceparent`.
    pub fn trace_parent(self, trace: CorrelationId) -> String {
        format!("00-{trace}-{:016x}-{:02x}", self.span, u8::from(self.sampled))
    }
}

/// The event or message that caused another one, as far as that one inherits of it. A correlation id alone is one, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The id that follows it.
    pub correlation: CorrelationId,
    /// The span that caused it; none if there are no spans.
    pub trace: Option<TraceContext>,
}

impl From<CorrelationId> for Cause {
    fn from(correlation: CorrelationId) -> Self {
        Self { correlation, trace: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_value_reads_back_as_it_is_written() {
        for (flags, sampled) in [("00", false), ("01", true)] {
            let text = VALID.replace("-01", &format!("-{flags}"));
            let (trace, context) = TraceContext::parse(&text).unwrap();
            assert_eq!(context.sampled, sampled);
            assert_eq!(context.trace_parent(trace), text);
        }
        let (_, context) = TraceContext::parse(&VALID.replace("-01", "-ff")).unwrap();
        assert!(context.sampled, "other flags are passed over");
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        for end in ["", "-", "-what-comes"] {
            let text = format!("{}{end}", VALID.replacen("00", "cc", 1));
            assert!(TraceContext::parse(&text).is_some(), "{text}");
        }
    }

    #[test]
    fn what_is_not_valid_does_not_count() {
        let zero_trace = VALID.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32));
        let zero_span = VALID.replace("00f067aa0ba902b7", &"0".repeat(16));
        for text in [
            "",
            "00",
            VALID.split_at(54).0,
            &format!("{VALID}-"),
            &format!("{VALID}0"),
            &VALID.to_uppercase(),
            &VALID.replacen("00", "ff", 1),
            &VALID.replacen("00", "0g", 1),
            &VALID.replacen("00", "cc", 1).replace("-01", "-0101"),
            &VALID.replace("-00f067aa0ba902b7-01", "-00f067aa0ba902b-701"),
            &VALID.replace('4', "\u{e9}"),
            &zero_trace,
            &zero_span,
        ] {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
    }
}
