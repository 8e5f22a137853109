//! What the shop has to sell when it is first opened.
//!
//! Owns the list of products and how many there are of each. Promises that no product is named twice and none
//! begins below zero. Does not know what has been sold since: that is the inventory service's.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::ids::ProductId;

/// Products and how many there are of each, in the order they are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stock(Vec<(ProductId, i64)>);

/// Why a list is not a valid stock.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StockError {
    /// An entry is not of the form `product=count`.
    #[error("`{entry}` is not of the form product_1=100")]
    Entry {
        /// The entry.
        entry: String,
    },
    /// A product is named twice.
    #[error("`{product}` is named twice: give one count for it")]
    Repeated {
        /// The product.
        product: ProductId,
    },
    /// A count is below zero.
    #[error("`{product}` begins with {count}: a stock begins with zero or more")]
    Negative {
        /// The product.
        product: ProductId,
        /// Its count.
        count: i64,
    },
}

impl Stock {
    /// A stock of these products.
    ///
    /// # Errors
    /// When a product is named twice or begins below zero.
    pub fn new(products: Vec<(ProductId, i64)>) -> Result<Stock, StockError> {
        let mut seen = BTreeSet::new();
        for (product, count) in &products {
            if !seen.insert(product) {
                return Err(StockError::Repeated { product: product.clone() });
            }
            if *count < 0 {
                return Err(StockError::Negative { product: product.clone(), count: *count });
            }
        }
        Ok(Stock(products))
    }

    /// What the shop begins with unless the first start says otherwise.
    pub fn usual() -> Stock {
        Stock(
            [("product_1", 100), ("product_2", 50), ("product_3", 200)].map(|(p, n)| (p.into(), n)).to_vec(),
        )
    }

    /// The products and how many there are of each.
    pub fn products(&self) -> &[(ProductId, i64)] {
        &self.0
    }
}

impl fmt::Display for Stock {
    /// Writes what is read: `product_1=100,product_2=50`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (product, count)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{product}={count}")?;
        }
        Ok(())
    }
}

impl FromStr for Stock {
    type Err = StockError;

    /// Reads `product_1=100,product_2=50`.
    fn from_str(text: &str) -> Result<Stock, StockError> {
        let entry = |entry: &str| {
            let wrong = || StockError::Entry { entry: entry.to_owned() };
            let (product, count) = entry.split_once('=').ok_or_else(wrong)?;
            if product.trim().is_empty() {
                return Err(wrong());
            }
            Ok((ProductId::from(product.trim()), count.trim().parse().map_err(|_| wrong())?))
        };
        Stock::new(text.split(',').map(entry).collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_products_is_read_in_its_order() {
        assert_eq!("product_1=100,product_2=50,product_3=200".parse(), Ok(Stock::usual()));
        assert_eq!(Stock::usual().to_string(), "product_1=100,product_2=50,product_3=200");
        assert_eq!("b=0, a=1".parse::<Stock>().unwrap().products()[1].0.as_str(), "a");
    }

    #[test]
    fn a_list_that_says_two_things_or_nothing_is_refused() {
        assert!(matches!("a=1,a=2".parse::<Stock>(), Err(StockError::Repeated { .. })));
        assert!(matches!("a=-1".parse::<Stock>(), Err(StockError::Negative { count: -1, .. })));
        for text in ["", "a", "a=", "=1", "a=1,", "a=1.5", "a=b", "a=99999999999999999999"] {
            assert!(matches!(text.parse::<Stock>(), Err(StockError::Entry { .. })), "{text}");
        }
    }
}
