//! TOML as JSON with the place of each key, so that files and the editor's settings are one form.

use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

/// Counted from 1.
pub(super) fn line_at(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    before.filter(|byte| **byte == b'\n').count() + 1
}

/// A TOML table as JSON; `place` is told the byte offset of each key.
pub(super) fn table_to_json(
    table: &DeTable<'_>,
    place: &mut dyn FnMut(&[String], usize),
) -> Map<String, Value> {
    fn convert(
        table: &DeTable<'_>,
        path: &mut Vec<String>,
        place: &mut dyn FnMut(&[String], usize),
    ) -> Map<String, Value> {
        let mut object = Map::new();
        for (key, value) in table {
            path.push(key.get_ref().to_string());
            place(path, key.span().start);
            let value = match value.get_ref() {
                DeValue::Table(inner) => Value::Object(convert(inner, path, place)),
                other => leaf(other),
            };
            object.insert(key.get_ref().to_string(), value);
            path.pop();
        }
        object
    }
    fn leaf(value: &DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => text.as_ref().into(),
            DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix())
                .map_or_else(|_| n.to_string().into(), Value::from),
            DeValue::Float(x) => x
                .as_str()
                .parse()
                .ok()
                .and_then(serde_json::Number::from_f64)
                .map_or_else(|| x.to_string().into(), Value::Number),
            DeValue::Boolean(b) => (*b).into(),
            DeValue::Datetime(when) => when.to_string().into(),
            DeValue::Array(list) => list.iter().map(|item| leaf(item.get_ref())).collect(),
            DeValue::Table(table) => Value::Object(convert(table, &mut Vec::new(), &mut |_, _| {})),
        }
    }
    convert(table, &mut Vec::new(), place)
}
