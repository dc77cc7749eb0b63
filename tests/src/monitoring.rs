//! What the chart has for Prometheus and Grafana, as programs ask it.

use serde_json::Value;

/// A question that a panel of a dashboard asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Title of the panel.
    pub panel: String,
    /// What it asks, with the dashboard's variables in it.
    pub expr: String,
}

impl Query {
    /// What Prometheus is asked where all groups are shown, with rates over one time and the picture
    /// over another, such as `30s`.
    #[must_use]
    pub fn over(&self, rate: &str, range: &str) -> String {
        let expr = self.expr.replace("$__rate_interval", rate);
        let expr = expr.replace("$__range", range);
        let all = ["$namespace", "$group"];
        all.iter().fold(expr, |expr, name| expr.replace(name, ".*"))
    }
}

/// The questions of all panels of a dashboard, in its order.
#[must_use]
pub fn queries(dashboard: &Value) -> Vec<Query> {
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let mut queries = Vec::new();
    for panel in list(dashboard, "panels") {
        for target in list(&panel, "targets") {
            let text =
                |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
            queries.push(Query {
                panel: text(&panel, "title"),
                expr: text(&target, "expr"),
            });
        }
    }
    queries
}

/// Names of the metrics that an expression reads, without what Prometheus adds to a histogram's.
#[must_use]
pub fn metrics_read(expr: &str) -> Vec<String> {
    let of_name = |c: &char| c.is_ascii_lowercase() || matches!(c, '_' | ':');
    let parts = expr.split("active_passive").skip(1);
    let names = parts.map(|rest| {
        let rest: String = rest.chars().take_while(of_name).collect();
        let plain = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| rest.strip_suffix(end));
        format!("active_passive{}", plain.unwrap_or(&rest))
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn panels_are_asked_with_their_variables_filled_in() {
        let expr = r#"rate(active_passive_role{namespace=~"$namespace"}[$__rate_interval])"#;
        let panel = json!({"title": "Roles", "targets": [{"expr": expr}]});
        let dashboard = json!({"panels": [{"title": "Row"}, panel]});
        let [query] = &queries(&dashboard)[..] else {
            panic!("one query");
        };
        assert_eq!(query.panel, "Roles");
        let filled = r#"rate(active_passive_role{namespace=~".*"}[9s])"#;
        assert_eq!(query.over("9s", "1h"), filled);
    }

    #[test]
    fn names_of_metrics_are_found_in_expressions() {
        let expr = "sum(active_passive_x_seconds_bucket{le=\"1\"}) / active_passive_y_total";
        let names = ["active_passive_x_seconds", "active_passive_y_total"];
        assert_eq!(metrics_read(expr), names);
    }
}
