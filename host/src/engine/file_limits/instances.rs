//! What one instance of a component takes of the pool: core instances, memories and tables, counted
//! by instantiation. A module that is instantiated twice counts twice, and so does a component.
//!
//! Follows the index spaces of modules and components as sections add to them. What comes out of an
//! instance's exports is not followed: it counts as one core instance, and the pool has the last word.

use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentTypeRef, Encoding, Instance, Payload,
};

/// Modules and components that one component can name: a validator refuses more.
const INDEX_SPACE_LIMIT: usize = 1_000;

/// What instantiating something takes of the pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    pub(super) core_instances: u64,
    pub(super) memories: u64,
    pub(super) tables: u64,
}

impl Needs {
    const UNKNOWN_MODULE: Self = Self { core_instances: 1, memories: 0, tables: 0 };

    /// Components in components can multiply to any number.
    const fn add(&mut self, other: Self) {
        self.core_instances = self.core_instances.saturating_add(other.core_instances);
        self.memories = self.memories.saturating_add(other.memories);
        self.tables = self.tables.saturating_add(other.tables);
    }
}

/// A module or a component whose end has not been read.
#[derive(Debug, Default)]
struct Open {
    is_module: bool,
    needs: Needs,
    /// The index spaces of a component.
    modules: Vec<Needs>,
    components: Vec<Needs>,
}

/// Counts while payloads go by.
#[derive(Debug, Default)]
pub(super) struct Counter {
    open: Vec<Open>,
    outermost: Needs,
}

impl Counter {
    /// What an instance of the outermost component takes, as far as it has been read.
    pub(super) fn needs(&self) -> Needs {
        self.open.first().map_or(self.outermost, |open| open.needs)
    }

    pub(super) fn look_at(&mut self, payload: &Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::Version { encoding, .. } => self.begin(*encoding == Encoding::Module),
            Payload::End(_) => self.end(),
            Payload::ComponentAliasSection(section) => {
                for alias in section.clone() {
                    self.alias(&alias?);
                }
            }
            _ => {
                let Some(open) = self.open.last_mut() else { return Ok(()) };
                open.look_at(payload)?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, is_module: bool) {
        let needs = if is_module { Needs::UNKNOWN_MODULE } else { Needs::default() };
        self.open.push(Open { is_module, needs, ..Open::default() });
    }

    fn end(&mut self) {
        let Some(ended) = self.open.pop() else { return };
        match self.open.last_mut() {
            None => self.outermost = ended.needs,
            Some(outer) if ended.is_module => push(&mut outer.modules, ended.needs),
            Some(outer) => push(&mut outer.components, ended.needs),
        }
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) {
        let (is_module, needs) = match alias {
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Module, .. } => {
                (true, None)
            }
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => {
                (false, None)
            }
            ComponentAlias::Outer { kind, count, index } => {
                let outward = *count as usize;
                let outer = self.open.iter().rev().nth(outward);
                match kind {
                    ComponentOuterAliasKind::CoreModule => {
                        (true, outer.and_then(|outer| at(&outer.modules, *index)))
                    }
                    ComponentOuterAliasKind::Component => {
                        (false, outer.and_then(|outer| at(&outer.components, *index)))
                    }
                    _ => return,
                }
            }
            _ => return,
        };
        let Some(open) = self.open.last_mut() else { return };
        if is_module {
            push(&mut open.modules, needs.unwrap_or(Needs::UNKNOWN_MODULE));
        } else {
            push(&mut open.components, needs.unwrap_or_default());
        }
    }
}

impl Open {
    fn look_at(&mut self, payload: &Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::MemorySection(section) => {
                self.needs.memories = self.needs.memories.saturating_add(section.count().into());
            }
            Payload::TableSection(section) => {
                self.needs.tables = self.needs.tables.saturating_add(section.count().into());
            }
            Payload::InstanceSection(section) => {
                for instance in section.clone() {
                    if let Instance::Instantiate { module_index, .. } = instance? {
                        self.needs.add(self.module(module_index));
                    }
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section.clone() {
                    if let ComponentInstance::Instantiate { component_index, .. } = instance? {
                        self.needs.add(self.component(component_index));
                    }
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section.clone() {
                    match import?.ty {
                        ComponentTypeRef::Module(_) => {
                            push(&mut self.modules, Needs::UNKNOWN_MODULE);
                        }
                        ComponentTypeRef::Component(_) => {
                            push(&mut self.components, Needs::default());
                        }
                        _ => {}
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section.clone() {
                    // What is exported has another index from there on.
                    let export = export?;
                    match export.kind {
                        ComponentExternalKind::Module => {
                            let needs = self.module(export.index);
                            push(&mut self.modules, needs);
                        }
                        ComponentExternalKind::Component => {
                            let needs = self.component(export.index);
                            push(&mut self.components, needs);
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn module(&self, index: u32) -> Needs {
        at(&self.modules, index).unwrap_or(Needs::UNKNOWN_MODULE)
    }

    fn component(&self, index: u32) -> Needs {
        at(&self.components, index).unwrap_or_default()
    }
}

fn push(space: &mut Vec<Needs>, needs: Needs) {
    if space.len() < INDEX_SPACE_LIMIT {
        space.push(needs);
    }
}

fn at(space: &[Needs], index: u32) -> Option<Needs> {
    space.get(index as usize).copied()
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{
        Alias, Component, ComponentAliasSection, ComponentExportKind, ComponentExportSection,
        ComponentInstanceSection, ComponentOuterAliasKind, InstanceSection, MemorySection,
        MemoryType, Module, ModuleArg, ModuleSection, NestedComponentSection, RefType,
        TableSection, TableType,
    };
    use wasmparser::Parser;

    use super::*;

    fn needs(component: Component) -> Needs {
        let (mut counter, bytes) = (Counter::default(), component.finish());
        for payload in Parser::new(0).parse_all(&bytes) {
            counter.look_at(&payload.unwrap()).unwrap();
        }
        counter.needs()
    }

    /// A module with a memory and two tables.
    fn module() -> Module {
        let mut memories = MemorySection::new();
        memories.memory(MemoryType {
            minimum: 1,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        let mut tables = TableSection::new();
        for _ in 0..2 {
            tables.table(TableType {
                element_type: RefType::FUNCREF,
                minimum: 1,
                maximum: None,
                table64: false,
                shared: false,
            });
        }
        let mut module = Module::new();
        module.section(&tables).section(&memories);
        module
    }

    fn with_module() -> Component {
        let mut component = Component::new();
        component.section(&ModuleSection(&module()));
        component
    }

    fn instances(of: u32, count: u32) -> InstanceSection {
        let mut section = InstanceSection::new();
        for _ in 0..count {
            section.instantiate(of, std::iter::empty::<(&str, ModuleArg)>());
        }
        section
    }

    fn component_instances(of: u32, count: u32) -> ComponentInstanceSection {
        let mut section = ComponentInstanceSection::new();
        for _ in 0..count {
            section.instantiate(of, std::iter::empty::<(&str, ComponentExportKind, u32)>());
        }
        section
    }

    const fn times(count: u64) -> Needs {
        Needs { core_instances: count, memories: count, tables: 2 * count }
    }

    #[test]
    fn a_module_counts_as_often_as_it_is_instantiated() {
        assert_eq!(needs(with_module()), times(0));
        let mut component = with_module();
        component.section(&instances(0, 3)).section(&instances(0, 4));
        assert_eq!(needs(component), times(7));
    }

    #[test]
    fn components_in_components_multiply() {
        let mut component = with_module();
        component.section(&instances(0, 10));
        for power in 2..8 {
            let mut outer = Component::new();
            outer.section(&NestedComponentSection(&component)).section(&component_instances(0, 10));
            assert_eq!(needs(outer.clone()), times(10_u64.pow(power)));
            component = outer;
        }
    }

    #[test]
    fn aliases_and_exports_have_indices_of_their_own() {
        let mut aliases = ComponentAliasSection::new();
        let kind = ComponentOuterAliasKind::CoreModule;
        aliases.alias(Alias::Outer { kind, count: 1, index: 1 });
        let mut inner = Component::new();
        inner.section(&aliases).section(&instances(0, 2));
        let mut exports = ComponentExportSection::new();
        exports.export("m", ComponentExportKind::Module, 0, None);
        let mut outer = Component::new();
        outer
            .section(&ModuleSection(&Module::new()))
            .section(&ModuleSection(&module()))
            .section(&exports)
            .section(&NestedComponentSection(&inner))
            .section(&component_instances(0, 3));
        assert_eq!(needs(outer.clone()), times(6));
        // The third module is the first one, as it is exported: without memory and tables.
        outer.section(&instances(2, 1));
        assert_eq!(needs(outer), Needs { core_instances: 7, ..times(6) });
    }

    #[test]
    fn what_is_not_known_is_one_core_instance_and_no_index_panics() {
        let mut component = Component::new();
        component.section(&instances(9, 2)).section(&component_instances(9, 2));
        assert_eq!(needs(component), Needs { core_instances: 2, memories: 0, tables: 0 });
    }
}
