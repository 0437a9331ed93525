//! Directories whose files are served as they are, without a consumer.

use std::{path::PathBuf, sync::Arc};

use http::HeaderValue;

use super::{Prefix, RouteError};
use crate::message::ModuleName;

/// A directory that a module serves under a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The prefix.
    pub prefix: Prefix,
    /// The directory.
    pub directory: PathBuf,
    /// The `cache-control` of its files, in place of the default.
    pub cache_control: Option<HeaderValue>,
}

/// The directories of all modules, longer prefixes first.
#[derive(Clone, Debug, Default)]
pub(super) struct FileTable(Vec<(ModuleName, Arc<Files>)>);

impl FileTable {
    pub(super) fn add(&mut self, module: &ModuleName, files: &[Files]) -> Result<(), RouteError> {
        for files in files {
            let held = self.0.iter().find(|(_, held)| held.prefix == files.prefix);
            if let Some((holder, _)) = held {
                return Err(RouteError::FilesTaken {
                    prefix: files.prefix.clone(),
                    module: module.clone(),
                    holder: holder.clone(),
                });
            }
            let length = |held: &(ModuleName, Arc<Files>)| held.1.prefix.as_str().len();
            let place = self.0.partition_point(|held| length(held) > files.prefix.as_str().len());
            self.0.insert(place, (module.clone(), Arc::new(files.clone())));
        }
        Ok(())
    }

    /// The directory of a path, and what stands behind the prefix: empty, or with a slash first.
    pub(super) fn at<'a>(&self, raw_path: &'a str) -> Option<(Arc<Files>, &'a str)> {
        self.0.iter().find_map(|(_, files)| {
            let rest = raw_path.strip_prefix(files.prefix.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then(|| (Arc::clone(files), rest))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(prefix: &str) -> Files {
        Files { prefix: prefix.parse().unwrap(), directory: prefix.into(), cache_control: None }
    }

    #[test]
    fn the_longest_prefix_of_whole_segments_has_the_path() {
        let mut table = FileTable::default();
        let module = ModuleName::parse("m").unwrap();
        table.add(&module, &[files("/a"), files("/a/b/c"), files("/a/b")]).unwrap();
        for (path, prefix, rest) in
            [("/a/x", "/a", "/x"), ("/a/b/x", "/a/b", "/x"), ("/a/b/c", "/a/b/c", "")]
        {
            let (found, behind) = table.at(path).unwrap();
            assert_eq!((found.prefix.to_string().as_str(), behind), (prefix, rest));
        }
        assert!(table.at("/ab").is_none());
        let other = ModuleName::parse("n").unwrap();
        let error = table.add(&other, &[files("/a/b")]).unwrap_err().to_string();
        assert!(error.contains("/a/b") && error.contains("module m"), "{error}");
    }
}
