//! The host's side of each call that the filter may make.

use wasmi::{Caller, Error, Extern, Linker, Memory, Module, TypedFunc, Val};

use super::{Headers, HostError, World};

const OK: i32 = 0;
const NOT_FOUND: i32 = 1;
const BAD_ARGUMENT: i32 = 2;
const REQUEST_HEADERS: i32 = 0;
const RESPONSE_HEADERS: i32 = 2;
const PLUGIN_CONFIGURATION: i32 = 7;

/// What a host call can reach.
type Vm<'a> = Caller<'a, World>;

/// Links every import of a module: those that the filter may call to their host's side, the rest to an error that names them.
pub(super) fn link(linker: &mut Linker<World>, module: &Module) -> Result<(), HostError> {
    linker
        .func_wrap("env", "proxy_log", log)
        .and_then(|linker| linker.func_wrap("env", "proxy_get_buffer_bytes", get_buffer_bytes))
        .and_then(|linker| linker.func_wrap("env", "proxy_get_header_map_value", get_header_map_value))
        .and_then(|linker| linker.func_wrap("env", "proxy_get_header_map_pairs", get_header_map_pairs))
        .and_then(|linker| linker.func_wrap("env", "proxy_replace_header_map_value", replace_header_map_value))
        .and_then(|linker| linker.func_wrap("env", "proxy_add_header_map_value", add_header_map_value))
        .and_then(|linker| linker.func_wrap("env", "proxy_remove_header_map_value", remove_header_map_value))
        .and_then(|linker| linker.func_wrap("env", "proxy_get_property", get_property))
        .and_then(|linker| linker.func_wrap("env", "proxy_set_property", set_property))
        .and_then(|linker| linker.func_wrap("env", "proxy_define_metric", define_metric))
        .and_then(|linker| linker.func_wrap("env", "proxy_increment_metric", increment_metric))
        .and_then(|linker| linker.func_wrap("env", "proxy_record_metric", record_metric))
        .and_then(|linker| linker.func_wrap("env", "proxy_set_tick_period_milliseconds", set_tick_period))
        .map_err(|error| HostError(error.to_string()))?;
    for import in module.imports() {
        let Some(kind) = import.ty().func() else {
            return Err(HostError(format!("the module imports {}, which is not a function", import.name())));
        };
        let name = format!("{}.{}", import.module(), import.name());
        let refuse = move |_: Vm<'_>, _: &[Val], _: &mut [Val]| Err(Error::new(format!("unexpected host call {name}")));
        // What is linked already stays as it is.
        let _ = linker.func_new(import.module(), import.name(), kind.clone(), refuse);
    }
    Ok(())
}

fn memory(vm: &Vm<'_>) -> Result<Memory, Error> {
    vm.get_export("memory").and_then(Extern::into_memory).ok_or_else(|| Error::new("the module exports no memory"))
}

fn address(value: i32) -> usize {
    // Addresses are unsigned; wasm has no such type.
    value.cast_unsigned() as usize
}

fn bytes(vm: &mut Vm<'_>, at: i32, size: i32) -> Result<Vec<u8>, Error> {
    let (at, size) = (address(at), address(size));
    let end = at.checked_add(size).ok_or_else(|| Error::new("a range wraps around"))?;
    let data = memory(vm)?.data(&*vm).get(at..end).map(<[u8]>::to_vec);
    vm.data_mut().copied.out += size;
    data.ok_or_else(|| Error::new("a range lies outside of the memory"))
}

fn text(vm: &mut Vm<'_>, at: i32, size: i32) -> Result<String, Error> {
    String::from_utf8(bytes(vm, at, size)?).map_err(|_| Error::new("a text is not UTF-8"))
}

fn store(vm: &mut Vm<'_>, at: i32, value: &[u8]) -> Result<(), Error> {
    memory(vm)?.write(vm, address(at), value).map_err(|error| Error::new(error.to_string()))
}

/// Hands bytes over in memory that the module allocates for them.
fn hand_over(vm: &mut Vm<'_>, value: &[u8], data: i32, size: i32) -> Result<i32, Error> {
    let name = "proxy_on_memory_allocate";
    let exported = vm.get_export(name).and_then(Extern::into_func);
    let allocate = exported.ok_or_else(|| Error::new("the module does not export proxy_on_memory_allocate"))?;
    *vm.data_mut().entries.entry(name.to_owned()).or_default() += 1;
    vm.data_mut().copied.into += value.len();
    let allocate: TypedFunc<i32, i32> = allocate.typed(&*vm)?;
    let length = i32::try_from(value.len()).map_err(|error| Error::new(error.to_string()))?;
    let at = if length == 0 { 0 } else { allocate.call(&mut *vm, length)? };
    store(vm, at, value)?;
    store(vm, data, &at.to_le_bytes())?;
    store(vm, size, &length.to_le_bytes())?;
    Ok(OK)
}

fn count(vm: &mut Vm<'_>, name: &'static str) {
    *vm.data_mut().calls.entry(name).or_default() += 1;
}

fn headers<'a>(vm: &'a mut Vm<'_>, map: i32) -> Option<&'a mut Headers> {
    match map {
        REQUEST_HEADERS => vm.data_mut().request.as_mut(),
        RESPONSE_HEADERS => vm.data_mut().response.as_mut(),
        _ => None,
    }
}

fn log(mut vm: Vm<'_>, level: i32, at: i32, size: i32) -> Result<i32, Error> {
    count(&mut vm, "proxy_log");
    let line = format!("{level} {}", text(&mut vm, at, size)?);
    vm.data_mut().logs.push(line);
    Ok(OK)
}

fn get_buffer_bytes(mut vm: Vm<'_>, kind: i32, start: i32, most: i32, data: i32, size: i32) -> Result<i32, Error> {
    count(&mut vm, "proxy_get_buffer_bytes");
    if kind != PLUGIN_CONFIGURATION {
        return Ok(BAD_ARGUMENT);
    }
    let configuration = vm.data().configuration.clone();
    let part = configuration.get(address(start)..).unwrap_or_default();
    let part = part.get(..address(most).min(part.len())).unwrap_or_default();
    hand_over(&mut vm, part, data, size)
}

/// The first value of a header, as in Envoy.
fn get_header_map_value(mut vm: Vm<'_>, map: i32, key: i32, key_size: i32, data: i32, size: i32) -> Result<i32, Error> {
    count(&mut vm, "proxy_get_header_map_value");
    let key = bytes(&mut vm, key, key_size)?;
    let Some(headers) = headers(&mut vm, map) else {
        return Ok(BAD_ARGUMENT);
    };
    match headers.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone()) {
        Some(value) => hand_over(&mut vm, &value, data, size),
        None => Ok(NOT_FOUND),
    }
}

fn get_header_map_pairs(mut vm: Vm<'_>, map: i32, data: i32, size: i32) -> Result<i32, Error> {
    count(&mut vm, "proxy_get_header_map_pairs");
    let Some(pairs) = headers(&mut vm, map).map(|pairs| pairs.clone()) else {
        return Ok(BAD_ARGUMENT);
    };
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    let lengths = pairs.iter().flat_map(|(key, value)| [number(key.len()), number(value.len())]).flatten();
    let mut serialised: Vec<u8> = number(pairs.len()).into_iter().chain(lengths).collect();
    for (key, value) in &pairs {
        serialised.extend([key, &b"\0"[..], value, b"\0"].concat());
    }
    hand_over(&mut vm, &serialised, data, size)
}

fn replace_header_map_value(mut vm: Vm<'_>, map: i32, key: i32, key_size: i32, value: i32, size: i32) -> Result<i32, Error> {
    count(&mut vm, "proxy_replace_header_map_value");
    let (key, value) = (bytes(&mut vm, key, key_size)?, bytes(&mut vm, value, size)?);
    let Some(headers) = headers(&mut vm, map) else {
        return Ok(BAD_ARGUMENT);
    };
    headers.retain(|(name, _)| *name != key);
    headers.push((key, value));
    Ok(OK)
}

fn add_header_map_value(mut vm: Vm<'_>, map: i32, key: i32, key_size: i32, value: i32, size: i32) -> Result<i32, Error> {
    count(&mut vm, "proxy_add_header_map_value");
    let pair = (bytes(&mut vm, key, key_size)?, bytes(&mut vm, value, size)?);
    let Some(headers) = headers(&mut vm, map) else {
        return Ok(BAD_ARGUMENT);
    };
    headers.push(pair);
    Ok(OK)
}

fn remove_header_map_value(mut vm: Vm<'_>, map: i32, key: i32, key_size: i32) -> Result<i32, Error> {
    count(&mut vm, "proxy_remove_header_map_value");
    let key = bytes(&mut vm, key, key_size)?;
    let Some(headers) = headers(&mut vm, map) else {
        return Ok(BAD_ARGUMENT);
    };
    headers.retain(|(name, _)| *name != key);
    Ok(OK)
}

fn get_property(mut vm: Vm<'_>, path: i32, path_size: i32, data: i32, size: i32) -> Result<i32, Error> {
    count(&mut vm, "proxy_get_property");
    let path = text(&mut vm, path, path_size)?.replace('\0', ".");
    let found = match path.as_str() {
        "plugin_name" => Some(vm.data().plugin.clone().into_bytes()),
        // Filter state that a plugin has set is a property of the stream.
        path => vm.data().properties.get(path).or_else(|| vm.data().set.get(path)).cloned(),
    };
    match found {
        Some(value) => hand_over(&mut vm, &value, data, size),
        None => Ok(NOT_FOUND),
    }
}

fn set_property(mut vm: Vm<'_>, path: i32, path_size: i32, value: i32, size: i32) -> Result<i32, Error> {
    count(&mut vm, "proxy_set_property");
    let (path, value) = (text(&mut vm, path, path_size)?, bytes(&mut vm, value, size)?);
    vm.data_mut().set.insert(path, value);
    Ok(OK)
}

fn define_metric(mut vm: Vm<'_>, _kind: i32, name: i32, name_size: i32, id: i32) -> Result<i32, Error> {
    count(&mut vm, "proxy_define_metric");
    let name = text(&mut vm, name, name_size)?;
    // As in Envoy: a name that is defined again gets another id, and the old one stays.
    let names = &mut vm.data_mut().metric_names;
    names.push(name);
    let at = names.len() - 1;
    let at = u32::try_from(at).map_err(|error| Error::new(error.to_string()))?;
    store(&mut vm, id, &at.to_le_bytes())?;
    Ok(OK)
}

fn increment_metric(mut vm: Vm<'_>, id: i32, offset: i64) -> Result<i32, Error> {
    count(&mut vm, "proxy_increment_metric");
    let Some(name) = vm.data().metric_names.get(address(id)).cloned() else {
        return Ok(BAD_ARGUMENT);
    };
    *vm.data_mut().metrics.entry(name).or_default() += offset;
    Ok(OK)
}

fn record_metric(mut vm: Vm<'_>, id: i32, value: i64) -> Result<i32, Error> {
    count(&mut vm, "proxy_record_metric");
    let Some(name) = vm.data().metric_names.get(address(id)).cloned() else {
        return Ok(BAD_ARGUMENT);
    };
    vm.data_mut().metrics.insert(name, value);
    Ok(OK)
}

fn set_tick_period(mut vm: Vm<'_>, milliseconds: i32) -> i32 {
    count(&mut vm, "proxy_set_tick_period_milliseconds");
    vm.data_mut().tick_milliseconds = milliseconds.cast_unsigned();
    OK
}
