/** Values between Lua and Redis, and between Lua and JSON, by the rules of Redis' EVAL and of its cjson. */
import './lua-numbers';
import { type LuaState, lua } from 'fengari';
import { type Reply, ReplyError, Status, toBytes, toText } from './reply';

export const text = (value: string): Uint8Array => new Uint8Array(Buffer.from(value, 'latin1'));
export const stringAt = (L: LuaState, index: number): string =>
  Buffer.from(lua.lua_tostring(L, index)).toString('latin1');

/** What cjson.null is: no Lua value equals it but itself. */
export const JSON_NULL = {};

export function pushReply(L: LuaState, reply: Reply): void {
  if (reply === null) lua.lua_pushboolean(L, false);
  else if (typeof reply === 'number') lua.lua_pushnumber(L, reply);
  else if (typeof reply === 'string') lua.lua_pushstring(L, text(reply));
  else if (reply instanceof Status) pushField(L, 'ok', reply.text);
  else if (reply instanceof ReplyError) pushField(L, 'err', reply.message);
  else {
    lua.lua_createtable(L, reply.length, 0);
    reply.forEach((item, i) => {
      pushReply(L, item);
      lua.lua_rawseti(L, -2, i + 1);
    });
  }
}

export function pushField(L: LuaState, name: 'ok' | 'err', value: string): void {
  lua.lua_createtable(L, 0, 1);
  lua.lua_pushstring(L, text(name));
  lua.lua_pushstring(L, text(value));
  lua.lua_rawset(L, -3);
}

/** The string field of the table at `index`; undefined when there is none. */
export function fieldAt(L: LuaState, index: number, name: 'ok' | 'err'): string | undefined {
  const table = lua.lua_absindex(L, index);
  lua.lua_pushstring(L, text(name));
  const found = lua.lua_rawget(L, table) === lua.LUA_TSTRING ? stringAt(L, -1) : undefined;
  lua.lua_pop(L, 1);
  return found;
}

/** Numbers lose their fraction, true is 1, false is nothing, and a table ends at its first nil. */
export function replyAt(L: LuaState, index: number): Reply {
  const at = lua.lua_absindex(L, index);
  switch (lua.lua_type(L, at)) {
    case lua.LUA_TSTRING:
      return stringAt(L, at);
    case lua.LUA_TNUMBER:
      return Math.trunc(lua.lua_tonumber(L, at)) + 0;
    case lua.LUA_TBOOLEAN:
      return lua.lua_toboolean(L, at) ? 1 : null;
    case lua.LUA_TTABLE:
      return tableReply(L, at);
    default:
      return null;
  }
}

function tableReply(L: LuaState, table: number): Reply {
  const err = fieldAt(L, table, 'err');
  if (err !== undefined) return new ReplyError(err);
  const ok = fieldAt(L, table, 'ok');
  if (ok !== undefined) return new Status(ok);
  const items: Reply[] = [];
  for (let i = 1; lua.lua_rawgeti(L, table, i) !== lua.LUA_TNIL; i += 1) {
    items.push(replyAt(L, -1));
    lua.lua_pop(L, 1);
  }
  lua.lua_pop(L, 1);
  return items;
}

/** An argument of redis.call: a string, or a number as Redis prints it. */
export function argumentAt(L: LuaState, index: number): string | undefined {
  const type = lua.lua_type(L, index);
  if (type === lua.LUA_TSTRING) return stringAt(L, index);
  if (type !== lua.LUA_TNUMBER) return undefined;
  const value = lua.lua_tonumber(L, index);
  if (Number.isInteger(value)) return BigInt(value).toString();
  return Number.isFinite(value) ? value.toPrecision(17).replace(/\.?0+$/, '') : String(value);
}

/** cjson.decode. */
export function pushJson(L: LuaState, value: unknown): void {
  if (value === null || value === undefined) lua.lua_pushlightuserdata(L, JSON_NULL);
  else if (typeof value === 'boolean') lua.lua_pushboolean(L, value);
  else if (typeof value === 'number') lua.lua_pushnumber(L, value);
  else if (typeof value === 'string') lua.lua_pushstring(L, text(toBytes(value)));
  else if (Array.isArray(value)) {
    lua.lua_createtable(L, value.length, 0);
    value.forEach((item, i) => {
      pushJson(L, item);
      lua.lua_rawseti(L, -2, i + 1);
    });
  } else {
    lua.lua_createtable(L, 0, 0);
    for (const [key, item] of Object.entries(value)) {
      lua.lua_pushstring(L, text(toBytes(key)));
      pushJson(L, item);
      lua.lua_rawset(L, -3);
    }
  }
}

/** For cjson.encode. A table with keys 1…n is an array; an empty one is an object, as in cjson. */
export function jsonAt(L: LuaState, index: number): unknown {
  const at = lua.lua_absindex(L, index);
  switch (lua.lua_type(L, at)) {
    case lua.LUA_TNIL:
    case lua.LUA_TLIGHTUSERDATA:
      return null;
    case lua.LUA_TBOOLEAN:
      return lua.lua_toboolean(L, at);
    case lua.LUA_TNUMBER:
      return Number(lua.lua_tonumber(L, at).toPrecision(14));
    case lua.LUA_TSTRING:
      return toText(stringAt(L, at));
    case lua.LUA_TTABLE:
      return jsonTable(L, at);
    default:
      throw new ReplyError('Cannot serialize this type: it has no JSON form');
  }
}

function jsonTable(L: LuaState, table: number): unknown {
  const entries: [string | number, unknown][] = [];
  lua.lua_pushnil(L);
  while (lua.lua_next(L, table) !== 0) {
    const key = lua.lua_type(L, -2) === lua.LUA_TNUMBER ? lua.lua_tonumber(L, -2) : toText(stringAt(L, -2));
    entries.push([key, jsonAt(L, -1)]);
    lua.lua_pop(L, 1);
  }
  const isArray = entries.length > 0 && entries.every(([key]) => typeof key === 'number');
  if (!isArray) return Object.fromEntries(entries);
  const items: unknown[] = [];
  for (const [key, value] of entries) items[Number(key) - 1] = value;
  if (items.length > entries.length * 2 + 10)
    throw new ReplyError('Cannot serialize table: excessively sparse array');
  return Array.from(items, (v) => v ?? null);
}
