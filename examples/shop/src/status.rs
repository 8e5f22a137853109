//! The status of a record, as it is stored and shown.
//!
//! Owns the one spelling of each. Promises that an unknown status in a table is an error, never another
//! status. Does not know which status follows which: that is each service's.

/// What is stored where a status should be.
#[derive(Debug, thiserror::Error)]
#[error("table {table} holds the unknown status `{found}`")]
pub(crate) struct UnknownStatus {
    pub(crate) table: &'static str,
    pub(crate) found: String,
}

macro_rules! record_status {
    ($(#[$doc:meta])* $name:ident in $table:literal { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every status there is, as text.
            pub const ALL: &[&'static str] = &[$($text),+];

            /// The status as text.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)+
                }
            }
        }

        impl rusqlite::ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }

        impl rusqlite::types::FromSql for $name {
            fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<$name> {
                match value.as_str()? {
                    $($text => Ok($name::$variant),)+
                    found => Err(rusqlite::types::FromSqlError::other($crate::status::UnknownStatus {
                        table: $table,
                        found: found.to_owned(),
                    })),
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                let text = String::deserialize(deserializer)?;
                match text.as_str() {
                    $($text => Ok($name::$variant),)+
                    _ => Err(serde::de::Error::unknown_variant(&text, $name::ALL)),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

pub(crate) use record_status;
