//! What expressions and zones mean, and which moments a process takes.

use std::time::Duration;

use super::*;

fn at(text: &str) -> SystemTime {
    text.parse::<Timestamp>().unwrap().into()
}

fn schedule(expression: &str, zone: &str) -> Schedule {
    Schedule::parse(expression, zone, Missed::Once).unwrap()
}

/// The next moments after one, in the time of the zone.
fn next(expression: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
    let schedule = schedule(expression, zone);
    let mut moment = at(from);
    let next = || {
        moment = schedule.next_after(moment)?;
        let zoned = schedule.zoned(moment)?;
        Some(zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
    };
    std::iter::from_fn(next).take(count).collect()
}

#[test]
fn fields_mean_what_the_documentation_says() {
    for (expression, expected) in [
        // Day of the month or day of the week.
        ("0 0 13 * 5", ["2026-01-02", "2026-01-09", "2026-01-13"]),
        // With `+`: day of the month and day of the week.
        ("0 0 13 * +5", ["2026-02-13", "2026-03-13", "2026-11-13"]),
        ("0 0 * * 7", ["2026-01-04", "2026-01-11", "2026-01-18"]),
        ("0 0 * * 0", ["2026-01-04", "2026-01-11", "2026-01-18"]),
        ("0 0 * * SUN", ["2026-01-04", "2026-01-11", "2026-01-18"]),
        ("0 0 31 * *", ["2026-01-31", "2026-03-31", "2026-05-31"]),
        ("0 0 29 2 *", ["2028-02-29", "2032-02-29", "2036-02-29"]),
        ("0 0 L * *", ["2026-01-31", "2026-02-28", "2026-03-31"]),
        ("0 0 15W * *", ["2026-01-15", "2026-02-16", "2026-03-16"]),
        ("0 0 * * MON#2", ["2026-01-12", "2026-02-09", "2026-03-09"]),
        ("0 0 * JAN,JUN 1-5/2", ["2026-01-02", "2026-01-05", "2026-01-07"]),
        ("0 0 5-31/10 * *", ["2026-01-05", "2026-01-15", "2026-01-25"]),
        ("0 0 1,15 2-3 *", ["2026-02-01", "2026-02-15", "2026-03-01"]),
        ("@yearly", ["2027-01-01", "2028-01-01", "2029-01-01"]),
        ("@weekly", ["2026-01-04", "2026-01-11", "2026-01-18"]),
        ("@monthly", ["2026-02-01", "2026-03-01", "2026-04-01"]),
        ("@daily", ["2026-01-02", "2026-01-03", "2026-01-04"]),
    ] {
        let days = next(expression, "UTC", "2026-01-01T00:00:00Z", 3);
        let days: Vec<_> = days.iter().filter_map(|it| it.split('T').next()).collect();
        assert_eq!(days, expected, "{expression}");
    }
    let night = next("0 22,23,0-1 * * *", "UTC", "2026-01-01T21:30:00Z", 4);
    let hours: Vec<_> = night.iter().map(|it| it.get(11..13).unwrap()).collect();
    assert_eq!(hours, ["22", "23", "00", "01"]);
    assert_eq!(next("@hourly", "UTC", "2026-01-01T00:30:00Z", 1), ["2026-01-01T01:00:00+00:00"]);
    let seconds = next("*/20 * * * * *", "UTC", "2026-01-01T00:00:30Z", 2);
    assert_eq!(seconds, ["2026-01-01T00:00:40+00:00", "2026-01-01T00:01:00+00:00"]);
}

#[test]
fn a_missing_hour_moves_and_a_doubled_hour_runs_once() {
    let berlin = "Europe/Berlin";
    // The night without 02:30, and the one that has it twice.
    assert_eq!(
        next("30 2 * * *", berlin, "2027-03-27T12:00:00Z", 2),
        ["2027-03-28T03:00:00+02:00", "2027-03-29T02:30:00+02:00"]
    );
    assert_eq!(
        next("30 2 * * *", berlin, "2026-10-24T12:00:00Z", 2),
        ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
    );
    // An expression for every hour goes by the time that passes.
    assert_eq!(
        next("30 * * * *", berlin, "2026-10-24T23:45:00Z", 3),
        ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:30:00+01:00"]
    );
    assert_eq!(
        next("30 * * * *", berlin, "2027-03-28T00:00:00Z", 2),
        ["2027-03-28T01:30:00+01:00", "2027-03-28T03:30:00+02:00"]
    );
    // Lord Howe moves by half an hour, on 2026-10-04 from 02:00 to 02:30 and on 2027-04-04 back.
    assert_eq!(
        next("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", 2),
        ["2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"]
    );
    assert_eq!(
        next("45 1 * * *", "Australia/Lord_Howe", "2027-04-03T00:00:00Z", 2),
        ["2027-04-04T01:45:00+11:00", "2027-04-05T01:45:00+10:30"]
    );
    // No daylight saving.
    assert_eq!(
        next("30 2 * * *", "Asia/Tokyo", "2027-03-27T12:00:00Z", 2),
        ["2027-03-28T02:30:00+09:00", "2027-03-29T02:30:00+09:00"]
    );
}

#[test]
fn the_moments_before_are_those_after_read_backwards() {
    for zone in ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/New_York"] {
        for expression in ["30 2 * * *", "15,45 1-3 * * *", "0 * * * *", "0 9 * * 1-5"] {
            let schedule = schedule(expression, zone);
            for from in ["2026-10-03T00:00:00Z", "2026-10-24T00:00:00Z", "2027-03-27T00:00:00Z"] {
                let mut moment = at(from);
                for _ in 0..40 {
                    let after = schedule.next_after(moment).unwrap();
                    let back = schedule.last_before(after + Duration::from_secs(1));
                    assert_eq!(back, Some(after), "{expression} {zone}: {}", schedule.shown(after));
                    moment = after;
                }
            }
        }
    }
}

#[test]
fn what_is_no_schedule_is_refused_with_the_rule() {
    for (expression, zone, expected) in [
        ("* * * *", "UTC", "write minute, hour"),
        ("60 * * * *", "UTC", "is no expression"),
        ("0 0 1 1 * 2030", "UTC", "is no expression"),
        ("0 22-2 * * *", "UTC", "is no expression"),
        ("5/15 * * * *", "UTC", "\"*/15\""),
        ("@reboot", "UTC", "is no expression"),
        ("", "UTC", "is no expression"),
        ("0 0 30 2 *", "UTC", "never comes"),
        ("0 0 * * *", "Europe/Berln", "did you mean Europe/Berlin?"),
        ("0 0 * * *", "Nowhere", "is no time zone of the IANA database"),
        ("0 0 * * *", "", "is no time zone"),
    ] {
        let refused = Schedule::parse(expression, zone, Missed::Once).map_err(|it| it.to_string());
        let Err(text) = refused else { panic!("{expression} {zone} is taken") };
        assert!(text.contains(expected), "{expression} {zone}: {text}");
    }
    assert_eq!(schedule("0 0 * * *", "europe/berlin").zone(), "Europe/Berlin");
    let long = "1,".repeat(300) + " * * * *";
    let refused = Schedule::parse(&long, "UTC", Missed::Once);
    assert!(matches!(refused, Err(ScheduleError::TooLong { bytes: 608, limit: 512 })));
}

/// Takes all moments that are due, in seconds since the beginning.
fn take(moments: &mut Moments, beginning: SystemTime, seconds: u64) -> Vec<u64> {
    let now = beginning + Duration::from_secs(seconds);
    let since = |due: SystemTime| due.duration_since(beginning).unwrap().as_secs();
    std::iter::from_fn(|| moments.take_due(now)).map(since).collect()
}

#[test]
fn of_missed_moments_the_last_one_is_taken_or_none() {
    let beginning = at("2026-01-01T00:00:00Z");
    // What is at most a minute late at second 3,710.
    let in_time: Vec<u64> = (3_650..=3_710).step_by(10).collect();
    for (missed, expected) in [(Missed::Once, vec![3_640]), (Missed::Skip, vec![])] {
        let of = Schedule::parse("*/10 * * * * *", "UTC", missed).unwrap();
        let mut moments = Moments::since(of, beginning, beginning);
        assert_eq!(take(&mut moments, beginning, 9), [0; 0]);
        assert_eq!(take(&mut moments, beginning, 30), [10, 20, 30], "late, and none is missed");
        assert_eq!(take(&mut moments, beginning, 3_710), [expected, in_time.clone()].concat());
    }
}

#[test]
fn a_process_that_starts_takes_what_was_missed_since_the_version_is_active() {
    let beginning = at("2026-01-01T00:30:00Z");
    let now = beginning + Duration::from_secs(5 * 3600);
    let first = |missed, active| {
        let of = Schedule::parse("0 * * * *", "UTC", missed).unwrap();
        let mut moments = Moments::since(of, active, now);
        let due = moments.take_due(now);
        assert_eq!(moments.take_due(now), None);
        assert_eq!(moments.next(), Some(at("2026-01-01T06:00:00Z")));
        due
    };
    assert_eq!(first(Missed::Once, beginning), Some(at("2026-01-01T05:00:00Z")));
    assert_eq!(first(Missed::Skip, beginning), None);
    let active = at("2026-01-01T05:00:01Z");
    assert_eq!(first(Missed::Once, active), None, "its version was not active at five");
}

#[test]
fn a_moment_that_came_to_nothing_is_taken_again() {
    let beginning = at("2026-01-01T00:00:00Z");
    let mut moments = Moments::since(schedule("*/10 * * * * *", "UTC"), beginning, beginning);
    let now = beginning + Duration::from_secs(20);
    let first = moments.take_due(now).unwrap();
    moments.put_back(first);
    assert_eq!(take(&mut moments, beginning, 20), [10, 20]);
}
