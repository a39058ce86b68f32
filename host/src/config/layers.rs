//! Lays the layers over each other, and remembers from which one each value comes.
//!
//! defaults < file < environment < command line. The `config` crate merges; what it is given are values that know
//! their layer, so that what comes out still does.

use std::collections::BTreeMap;

use config::{ConfigError, Map as Table, Value as Layered, ValueKind};
use serde_json::{Map, Value};

use super::key::Key;
use super::mistake::Source;

/// The `config` crate reads its outermost keys as paths (`a.b` is `b` in `a`); below them a key is a key.
/// So every layer is put below this one.
const ROOT: &str = "root";

/// Layers from lowest to highest.
#[derive(Clone, Debug, Default)]
pub(super) struct Layers {
    layers: Vec<Layer>,
}

#[derive(Clone, Debug)]
struct Layer {
    source: Source,
    values: Map<String, Value>,
    /// The number of the layer as text: where the `config` crate has room for a description.
    origin: String,
}

/// All layers as one.
#[derive(Debug, Default)]
pub(super) struct Merged {
    pub(super) value: Value,
    /// For each value that is not a section.
    pub(super) sources: BTreeMap<Key, Source>,
}

impl Layers {
    pub(super) fn push(&mut self, source: Source, values: Map<String, Value>) {
        let origin = self.layers.len().to_string();
        self.layers.push(Layer { source, values, origin });
    }

    pub(super) fn merge(&self) -> Result<Merged, ConfigError> {
        let mut builder = config::Config::builder();
        for layer in &self.layers {
            builder = builder.add_source(layer.clone());
        }
        let mut root = builder.build()?.cache.into_table()?;
        let root = root.remove(ROOT).unwrap_or_else(|| Table::<String, Layered>::new().into());
        let mut merged = Merged::default();
        merged.value = self.unlayer(root, &Key::default(), &mut merged.sources);
        Ok(merged)
    }

    fn unlayer(&self, value: Layered, key: &Key, sources: &mut BTreeMap<Key, Source>) -> Value {
        let origin = value.origin().and_then(|origin| origin.parse::<usize>().ok());
        let table = match value.kind {
            ValueKind::Table(table) => table,
            kind => {
                let layer = origin.and_then(|origin| self.layers.get(origin));
                let source = layer.map_or(Source::Default, |layer| layer.source.clone());
                sources.insert(key.clone(), source);
                return plain(kind);
            }
        };
        // The table is a hash map; sorted, two runs show the same.
        let sorted: BTreeMap<String, Layered> = table.into_iter().collect();
        let entries = sorted.into_iter().map(|(name, value)| {
            let value = self.unlayer(value, &key.name(&name), sources);
            (name, value)
        });
        Value::Object(entries.collect())
    }
}

impl config::Source for Layer {
    fn clone_into_box(&self) -> Box<dyn config::Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Table<String, Layered>, ConfigError> {
        let values = layered(&Value::Object(self.values.clone()), &self.origin);
        Ok(Table::from_iter([(ROOT.to_owned(), values)]))
    }
}

fn layered(value: &Value, origin: &String) -> Layered {
    let kind = match value {
        Value::Null => ValueKind::Nil,
        Value::Bool(value) => ValueKind::Boolean(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => ValueKind::I64(number),
            (None, Some(number)) => ValueKind::U64(number),
            (None, None) => ValueKind::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => ValueKind::String(text.clone()),
        Value::Array(items) => {
            ValueKind::Array(items.iter().map(|item| layered(item, origin)).collect())
        }
        Value::Object(entries) => {
            let entries = entries.iter();
            let entries = entries.map(|(name, value)| (name.clone(), layered(value, origin)));
            ValueKind::Table(entries.collect())
        }
    };
    Layered::new(Some(origin), kind)
}

/// Also what the `config` crate reads from JSON and TOML becomes a plain value here.
pub(super) fn plain(kind: ValueKind) -> Value {
    match kind {
        ValueKind::Nil => Value::Null,
        ValueKind::Boolean(value) => value.into(),
        ValueKind::I64(number) => number.into(),
        ValueKind::U64(number) => number.into(),
        // Beyond 64 bits: as text it is reported as the wrong type.
        ValueKind::I128(number) => {
            i64::try_from(number).map_or_else(|_| number.to_string().into(), Value::from)
        }
        ValueKind::U128(number) => {
            u64::try_from(number).map_or_else(|_| number.to_string().into(), Value::from)
        }
        ValueKind::Float(number) => number.into(),
        ValueKind::String(text) => text.into(),
        ValueKind::Array(items) => items.into_iter().map(|item| plain(item.kind)).collect(),
        ValueKind::Table(table) => {
            let sorted: BTreeMap<String, Layered> = table.into_iter().collect();
            sorted.into_iter().map(|(name, value)| (name, plain(value.kind))).collect()
        }
    }
}
