//! Dashboard and alert rules: they are valid, and they read metrics that there are.

use std::{collections::BTreeMap, fs, process::Command};

use serde_json::Value;

const DASHBOARD: &str = "packaging/grafana/tidegate.json";
const ALERTS: &str = "packaging/prometheus/alerts.yml";
/// Labels that Prometheus adds, or that histograms have.
const LABELS_OF_ALL: [&str; 3] = ["instance", "job", "le"];

fn read(path: &str) -> String {
    fs::read_to_string(tests::root().join(path)).unwrap()
}

/// The words in backquotes of a cell.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The series that the table of `docs/operations.md` tells of, each with its labels.
fn documented() -> BTreeMap<String, Vec<String>> {
    let document = read("docs/operations.md");
    let mut series = BTreeMap::new();
    for row in document.lines().filter(|line| line.starts_with("| `tidegate_")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, name, labels, meaning, ..] = cells.as_slice() else { panic!("{row}") };
        let (name, labels) = (quoted(name).remove(0), quoted(labels));
        if meaning.starts_with("histogram:") {
            for end in ["_bucket", "_sum", "_count"] {
                series.insert(format!("{name}{end}"), labels.clone());
            }
        } else {
            series.insert(name, labels);
        }
    }
    assert!(series.len() > 40, "{series:?}");
    series
}

/// The series that an expression reads, each with the labels that it chooses by.
fn reads(expression: &str) -> Vec<(String, Vec<String>)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (at, _) in expression.match_indices("tidegate_") {
        let rest = &expression[at..];
        let (name, rest) = rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
        let chosen = rest.strip_prefix('{').and_then(|rest| rest.split('}').next()).unwrap_or("");
        let labels = chosen.split(',').filter(|part| !part.is_empty());
        let labels = labels.map(|part| part.split(['=', '!']).next().unwrap().trim().to_owned());
        found.push((name.to_owned(), labels.collect()));
    }
    found
}

/// The labels that an expression keeps: those of `by (...)`.
fn kept(expression: &str) -> Vec<String> {
    let lists = expression.split("by (").skip(1).map(|rest| rest.split(')').next().unwrap());
    lists.flat_map(|list| list.split(',').map(|label| label.trim().to_owned())).collect()
}

/// All texts with a name in a value of JSON.
fn texts<'a>(value: &'a Value, name: &str, into: &mut Vec<&'a str>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| texts(item, name, into)),
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if key == name => into.push(text),
                    _ => texts(value, name, into),
                }
            }
        }
        _ => {}
    }
}

fn check(expressions: &[&str]) {
    let documented = documented();
    let mut wrong = Vec::new();
    for expression in expressions {
        let series = reads(expression);
        let known = |label: &String| {
            let of = |name: &String| documented.get(name).is_some_and(|it| it.contains(label));
            LABELS_OF_ALL.contains(&label.as_str()) || series.iter().any(|(name, _)| of(name))
        };
        for (name, labels) in &series {
            match documented.get(name) {
                None => wrong.push(format!("there is no {name}: {expression}")),
                Some(has) => wrong.extend(
                    labels
                        .iter()
                        .filter(|label| {
                            !has.contains(label) && !LABELS_OF_ALL.contains(&label.as_str())
                        })
                        .map(|label| format!("{name} has no label {label}: {expression}")),
                ),
            }
        }
        let lost = kept(expression).into_iter().filter(|label| !known(label));
        wrong.extend(lost.map(|label| format!("nothing has the label {label}: {expression}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_dashboard_reads_series_and_labels_that_there_are() {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let (mut expressions, mut queries) = (Vec::new(), Vec::new());
    texts(&dashboard, "expr", &mut expressions);
    texts(&dashboard, "query", &mut queries);
    assert!(expressions.len() > 40, "{expressions:?}");
    queries.retain(|query| query.contains("tidegate_"));
    assert_eq!(queries.len(), 2, "a variable for processes, one for modules");
    check(&[expressions, queries].concat());
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids: Vec<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
}

#[test]
fn a_metric_that_there_is_not_is_found() {
    let series = reads(r#"sum(rate(tidegate_gone_total{reason!="a",instance=~"$i"}[5m])) by (le)"#);
    let labels = vec!["reason".to_owned(), "instance".to_owned()];
    assert_eq!(series, [("tidegate_gone_total".to_owned(), labels)]);
    assert!(!documented().contains_key("tidegate_gone_total"));
    assert!(documented().contains_key("tidegate_run_time_seconds_bucket"));
    assert_eq!(kept("sum by (a, b) (x) / max by (c) (y)"), ["a", "b", "c"]);
}

#[test]
fn alerts_read_series_and_labels_that_there_are() {
    let alerts = read(ALERTS);
    let rules: Vec<_> = alerts.split("- alert: ").skip(1).collect();
    assert!(rules.len() > 10);
    let expressions: Vec<_> = rules
        .iter()
        .map(|rule| {
            let (_, rest) = rule.split_once("expr: ").unwrap();
            rest.split("labels: ").next().unwrap()
        })
        .collect();
    check(&expressions);
    for rule in rules {
        for part in ["labels: {severity: ", "summary: ", "description: "] {
            assert!(rule.contains(part), "{rule}");
        }
    }
}

#[test]
fn alerts_are_valid_and_raised_by_what_they_are_for() {
    let Some(promtool) = tests::promtool() else { return };
    let tested = ALERTS.replace(".yml", ".test.yml");
    for arguments in [["check", "rules", ALERTS], ["test", "rules", &tested]] {
        let run = Command::new(&promtool).args(arguments).current_dir(tests::root()).output();
        let output = run.unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success() && said.contains("SUCCESS"), "{said}");
    }
}
