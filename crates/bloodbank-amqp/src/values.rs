//! The values of headers as AMQP has them, each in its own type, so that every one comes back as it was.

use bloodbank_bus::{HeaderValue, Headers, TransportError};
use lapin::types::{
    AMQPValue, ByteArray, DecimalValue, FieldArray, FieldTable, LongString, ShortString,
};

use crate::wire::short;

/// All headers of a message.
pub(crate) fn headers_of(table: &FieldTable) -> Headers {
    table_of(table, 0)
}

fn table_of(table: &FieldTable, levels: usize) -> Headers {
    let header = |(name, value): (&ShortString, &AMQPValue)| {
        (name.as_str().to_owned(), from_amqp(value, levels))
    };
    table.inner().iter().map(header).collect()
}

/// A value inside so many lists and tables. What is nested too deep for the JSON form becomes a text
/// here already, so that every transport and store has the same of it.
fn from_amqp(value: &AMQPValue, levels: usize) -> HeaderValue {
    match value {
        AMQPValue::FieldArray(_) | AMQPValue::FieldTable(_)
            if levels >= HeaderValue::MOST_LEVELS =>
        {
            HeaderValue::TOO_DEEP.into()
        }
        AMQPValue::Boolean(value) => HeaderValue::Bool(*value),
        AMQPValue::ShortShortInt(n) => HeaderValue::I8(*n),
        AMQPValue::ShortShortUInt(n) => HeaderValue::U8(*n),
        AMQPValue::ShortInt(n) => HeaderValue::I16(*n),
        AMQPValue::ShortUInt(n) => HeaderValue::U16(*n),
        AMQPValue::LongInt(n) => HeaderValue::I32(*n),
        AMQPValue::LongUInt(n) => HeaderValue::U32(*n),
        AMQPValue::LongLongInt(n) => HeaderValue::I64(*n),
        AMQPValue::Float(n) => HeaderValue::F32(*n),
        AMQPValue::Double(n) => HeaderValue::F64(*n),
        AMQPValue::DecimalValue(n) => HeaderValue::Decimal { scale: n.scale, value: n.value },
        AMQPValue::ShortString(text) => HeaderValue::Text(text.as_str().to_owned()),
        AMQPValue::LongString(text) => match std::str::from_utf8(text.as_bytes()) {
            Ok(text) => HeaderValue::Text(text.to_owned()),
            Err(_) => HeaderValue::RawText(text.as_bytes().to_vec()),
        },
        AMQPValue::FieldArray(values) => {
            let values = values.as_slice().iter().map(|value| from_amqp(value, levels + 1));
            HeaderValue::List(values.collect())
        }
        AMQPValue::Timestamp(seconds) => HeaderValue::Time(*seconds),
        AMQPValue::FieldTable(table) => HeaderValue::Table(table_of(table, levels + 1)),
        AMQPValue::ByteArray(bytes) => HeaderValue::Bytes(bytes.as_slice().to_vec()),
        AMQPValue::Void => HeaderValue::Null,
    }
}

/// # Errors
/// If a name in it is too long, which no message from AMQP has.
pub(crate) fn to_amqp(value: &HeaderValue) -> Result<AMQPValue, TransportError> {
    Ok(match value {
        HeaderValue::Null => AMQPValue::Void,
        HeaderValue::Bool(value) => AMQPValue::Boolean(*value),
        HeaderValue::I8(n) => AMQPValue::ShortShortInt(*n),
        HeaderValue::U8(n) => AMQPValue::ShortShortUInt(*n),
        HeaderValue::I16(n) => AMQPValue::ShortInt(*n),
        HeaderValue::U16(n) => AMQPValue::ShortUInt(*n),
        HeaderValue::I32(n) => AMQPValue::LongInt(*n),
        HeaderValue::U32(n) => AMQPValue::LongUInt(*n),
        HeaderValue::I64(n) => AMQPValue::LongLongInt(*n),
        HeaderValue::F32(n) => AMQPValue::Float(*n),
        HeaderValue::F64(n) => AMQPValue::Double(*n),
        HeaderValue::Decimal { scale, value } => {
            AMQPValue::DecimalValue(DecimalValue { scale: *scale, value: *value })
        }
        HeaderValue::Text(text) => AMQPValue::LongString(text.as_str().into()),
        HeaderValue::RawText(bytes) => AMQPValue::LongString(LongString::from(bytes.clone())),
        HeaderValue::Bytes(bytes) => AMQPValue::ByteArray(ByteArray::from(bytes.clone())),
        HeaderValue::Time(seconds) => AMQPValue::Timestamp(*seconds),
        HeaderValue::List(values) => {
            let values: Vec<AMQPValue> = values.iter().map(to_amqp).collect::<Result<_, _>>()?;
            AMQPValue::FieldArray(FieldArray::from(values))
        }
        HeaderValue::Table(values) => {
            let mut table = FieldTable::default();
            for (name, value) in values {
                table.insert(short(name)?, to_amqp(value)?);
            }
            AMQPValue::FieldTable(table)
        }
        other => {
            let what = format!("the header {other}, for which AMQP has no type");
            return Err(TransportError::Unsupported { what });
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many tables inside each other.
    fn nested(levels: usize) -> AMQPValue {
        (0..levels).fold(AMQPValue::Void, |inner, _| {
            let mut table = FieldTable::default();
            table.insert("a".into(), inner);
            AMQPValue::FieldTable(table)
        })
    }

    #[test]
    fn a_header_comes_in_with_its_outer_levels() {
        for (levels, innermost) in [(32, HeaderValue::Null), (33, HeaderValue::TOO_DEEP.into())] {
            let mut table = FieldTable::default();
            table.insert("x".into(), nested(levels));
            let headers = headers_of(&table);
            let mut value = &headers["x"];
            for _ in 0..HeaderValue::MOST_LEVELS {
                let HeaderValue::Table(inner) = value else { panic!("{value}") };
                value = &inner["a"];
            }
            assert_eq!(value, &innermost, "{levels}");
            assert_eq!(HeaderValue::from_json(headers["x"].to_json()).as_ref(), headers.get("x"));
        }
    }
}
