//! Lists, a page at a time: `?limit=…&after=…` → `{"items": […], "next": …}`.

use std::cmp::Reverse;
use std::fmt::{self, Display};
use std::num::ParseIntError;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{PAGE_DEFAULT, PAGE_MAX, Problem};

/// Which part of a list is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    limit: usize,
    /// The key after which the page begins.
    after: Option<String>,
}

/// The key of a list whose newest item, which has the largest number, comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Newest(Reverse<u64>);

impl From<u64> for Newest {
    fn from(id: u64) -> Self {
        Self(Reverse(id))
    }
}

impl Display for Newest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.0)
    }
}

impl FromStr for Newest {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse::<u64>().map(Self::from)
    }
}

/// One page of a list.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Listing {
    items: Vec<Value>,
    /// What to give as `after` for the next page; null: this is the last one.
    next: Option<String>,
}

/// The arguments of every list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    /// Items of a page: 1 to 1000, 100 unless said.
    limit: Option<usize>,
    /// `next` of the page before.
    after: Option<String>,
}

/// [`Listing`] for the API's description.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what another type writes")]
pub(super) struct Paged<T: ToSchema> {
    items: Vec<T>,
    /// What to give as `after` for the next page; null: this is the last one.
    next: Option<String>,
}

impl Page {
    /// From the query of a request, which has no other arguments.
    pub(super) fn parse(query: &str) -> Result<Self, Problem> {
        let query = actix_web::web::Query::<PageQuery>::from_query(query)
            .map_err(|error| Problem::bad_request(error.to_string()))?
            .into_inner();
        let limit = query.limit.unwrap_or(PAGE_DEFAULT);
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(Problem::bad_request(format!(
                "limit is {limit}, allowed is 1 to {PAGE_MAX}"
            )));
        }
        Ok(Self { limit, after: query.after })
    }

    /// The page of `items`, in the order of their unique keys. Only what is on the page is serialized.
    ///
    /// # Errors
    ///
    /// `after` is no key of this list.
    pub fn list<K, T>(&self, items: impl IntoIterator<Item = (K, T)>) -> Result<Listing, Problem>
    where
        K: Ord + Display + FromStr,
        T: Serialize,
    {
        let after = match &self.after {
            Some(text) => {
                let key = text
                    .parse::<K>()
                    .map_err(|_| Problem::bad_request("after is not a key of this list"))?;
                Some(key)
            }
            None => None,
        };
        let is_due = |key: &K| after.as_ref().is_none_or(|after| key > after);
        let mut due: Vec<(K, T)> = items.into_iter().filter(|(key, _)| is_due(key)).collect();
        due.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let has_more = due.len() > self.limit;
        due.truncate(self.limit);
        let next = due.last().filter(|_| has_more).map(|(key, _)| key.to_string());
        let items = due
            .into_iter()
            .map(|(_, item)| serde_json::to_value(item).unwrap_or_default())
            .collect();
        Ok(Listing { items, next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_through_a_list_in_the_order_of_keys() {
        let items = || [(10_u64, "ten"), (2, "two"), (1, "one"), (33, "more")];
        let page = |query: &str| {
            serde_json::to_value(Page::parse(query).unwrap().list(items()).unwrap()).unwrap()
        };

        assert_eq!(page("limit=2"), serde_json::json!({"items": ["one", "two"], "next": "2"}));
        assert_eq!(
            page("limit=2&after=2"),
            serde_json::json!({"items": ["ten", "more"], "next": null})
        );
        assert_eq!(page("after=33"), serde_json::json!({"items": [], "next": null}));
        assert_eq!(page("")["items"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn newest_come_first() {
        let items = [1_u64, 3, 2].map(|id| (Newest::from(id), id));
        let page = |query: &str| {
            serde_json::to_value(Page::parse(query).unwrap().list(items).unwrap()).unwrap()
        };

        assert_eq!(page("limit=2"), serde_json::json!({"items": [3, 2], "next": "2"}));
        assert_eq!(page("after=2"), serde_json::json!({"items": [1], "next": null}));
    }

    #[test]
    fn refuses_what_is_no_page() {
        for query in ["limit=0", "limit=1001", "limit=x", "limit=-1", "offset=3", "limit=1&limit=2"]
        {
            assert!(Page::parse(query).is_err(), "{query}");
        }
        let page = Page::parse("after=x").unwrap();
        assert!(page.list([(1_u64, "one")]).is_err());
    }
}
