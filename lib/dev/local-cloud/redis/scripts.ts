/**
 * EVAL by fengari. One Lua state with the libraries Redis offers; a script can make no globals, so none sees
 * what another left behind. Lua here is 5.3 where Redis has 5.1: numbers are doubles all the same (lua-numbers.ts).
 */
import './lua-numbers';
import { createHash } from 'node:crypto';
import { type LuaState, lauxlib, lua, lualib } from 'fengari';
import { DOUBLES, withDoubles } from './lua-numbers';
import {
  argumentAt,
  fieldAt,
  JSON_NULL,
  jsonAt,
  pushField,
  pushJson,
  pushReply,
  replyAt,
  stringAt,
  text,
} from './lua-values';
import { type Reply, ReplyError, toText } from './reply';

/** Runs one command of a script; throws ReplyError. */
export type Call = (args: readonly string[], readOnly: boolean) => Reply;

const PRELUDE = `${DOUBLES}
unpack = table.unpack
math.type, math.tointeger, math.ult, math.maxinteger, math.mininteger = nil, nil, nil, nil, nil
loadstring = load
dofile, loadfile, require, print, collectgarbage = nil, nil, nil, nil, nil
setmetatable(_G, {
  __newindex = function(_, name) error('Attempt to modify a readonly table: global variable ' .. tostring(name), 2) end,
  __index = function(_, name) error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2) end,
  __metatable = false,
})`;

export class Scripts {
  readonly #L: LuaState;
  readonly #call: Call;
  readonly #compiled = new Map<string, number>();
  #readOnly = false;

  constructor(call: Call) {
    this.#call = call;
    this.#L = lauxlib.luaL_newstate();
    const libraries = [
      ['_G', lualib.luaopen_base],
      ['table', lualib.luaopen_table],
      ['string', lualib.luaopen_string],
      ['math', lualib.luaopen_math],
    ] as const;
    for (const [name, open] of libraries) lauxlib.luaL_requiref(this.#L, text(name), open, 1);
    this.#global('redis', this.#redisLibrary());
    this.#global('cjson', { encode: encodeJson, decode: decodeJson, null: null });
    lauxlib.luaL_loadbuffer(this.#L, text(PRELUDE), PRELUDE.length, text('@prelude'));
    if (lua.lua_pcall(this.#L, 0, 0, 0) !== lua.LUA_OK) throw new Error(stringAt(this.#L, -1));
  }

  /** Compiles once; returns the SHA-1 that EVALSHA takes. */
  load(source: string): string {
    const sha = sha1(source);
    if (this.#compiled.has(sha)) return sha;
    const code = text(compilable(source));
    if (lauxlib.luaL_loadbuffer(this.#L, code, code.length, text('@user_script')) !== lua.LUA_OK) {
      const message = stringAt(this.#L, -1);
      lua.lua_settop(this.#L, 0);
      throw new ReplyError(`ERR Error compiling script (new function): ${message}`);
    }
    this.#compiled.set(sha, lauxlib.luaL_ref(this.#L, lua.LUA_REGISTRYINDEX));
    return sha;
  }

  has(sha: string): boolean {
    return this.#compiled.has(sha.toLowerCase());
  }

  flush(): void {
    this.#compiled.clear();
  }

  run(sha: string, keys: readonly string[], args: readonly string[], readOnly: boolean): Reply {
    const compiled = this.#compiled.get(sha.toLowerCase());
    if (compiled === undefined) throw new ReplyError('NOSCRIPT No matching script. Please use EVAL.');
    const L = this.#L;
    this.#readOnly = readOnly;
    this.#setList('KEYS', keys);
    this.#setList('ARGV', args);
    lua.lua_rawgeti(L, lua.LUA_REGISTRYINDEX, compiled);
    try {
      if (lua.lua_pcall(L, 0, 1, 0) === lua.LUA_OK) return replyAt(L, -1);
      throw this.#failure(sha);
    } finally {
      lua.lua_settop(L, 0);
    }
  }

  #failure(sha: string): ReplyError {
    const L = this.#L;
    const raised = lua.lua_type(L, -1) === lua.LUA_TTABLE ? fieldAt(L, -1, 'err') : undefined;
    const message =
      raised ?? `ERR ${lua.lua_type(L, -1) === lua.LUA_TSTRING ? stringAt(L, -1) : 'unknown error'}`;
    return new ReplyError(`${message} script: ${sha}, on @user_script.`);
  }

  #setList(name: string, items: readonly string[]): void {
    const L = this.#L;
    lua.lua_rawgeti(L, lua.LUA_REGISTRYINDEX, lua.LUA_RIDX_GLOBALS);
    lua.lua_pushstring(L, text(name));
    pushReply(L, items);
    lua.lua_rawset(L, -3);
    lua.lua_pop(L, 1);
  }

  #global(name: string, fields: Record<string, ((L: LuaState) => number) | number | null>): void {
    const L = this.#L;
    lua.lua_rawgeti(L, lua.LUA_REGISTRYINDEX, lua.LUA_RIDX_GLOBALS);
    lua.lua_pushstring(L, text(name));
    lua.lua_createtable(L, 0, 0);
    for (const [field, value] of Object.entries(fields)) {
      lua.lua_pushstring(L, text(field));
      if (value === null) lua.lua_pushlightuserdata(L, JSON_NULL);
      else if (typeof value === 'number') lua.lua_pushnumber(L, value);
      else lua.lua_pushcfunction(L, value);
      lua.lua_rawset(L, -3);
    }
    lua.lua_rawset(L, -3);
    lua.lua_pop(L, 1);
  }

  #redisLibrary(): Record<string, ((L: LuaState) => number) | number> {
    const answer = (L: LuaState): Reply => {
      const args: string[] = [];
      for (let i = 1; i <= lua.lua_gettop(L); i += 1) {
        const argument = argumentAt(L, i);
        if (argument === undefined) {
          return new ReplyError('ERR Lua redis lib command arguments must be strings or integers');
        }
        args.push(argument);
      }
      if (args.length === 0) {
        return new ReplyError('ERR Please specify at least one argument for this redis.call() call');
      }
      try {
        return this.#call(args, this.#readOnly);
      } catch (error) {
        if (error instanceof ReplyError) return error;
        throw error;
      }
    };
    return {
      call: (L) => {
        const reply = answer(L);
        pushReply(L, reply);
        return reply instanceof ReplyError ? lua.lua_error(L) : 1;
      },
      pcall: (L) => {
        pushReply(L, answer(L));
        return 1;
      },
      error_reply: (L) => {
        const given = stringAt(L, 1).replace(/^-/, '');
        pushField(L, 'err', given.includes(' ') ? given : `ERR ${given}`);
        return 1;
      },
      status_reply: (L) => {
        pushField(L, 'ok', stringAt(L, 1));
        return 1;
      },
      sha1hex: (L) => {
        lua.lua_pushstring(L, text(sha1(stringAt(L, 1))));
        return 1;
      },
      log: () => 0,
      LOG_DEBUG: 0,
      LOG_VERBOSE: 1,
      LOG_NOTICE: 2,
      LOG_WARNING: 3,
    };
  }
}

function compilable(source: string): string {
  try {
    return withDoubles(source.replace(/^#!lua[^\n]*/, ''));
  } catch (error) {
    throw new ReplyError(`ERR Error compiling script (new function): ${(error as Error).message}`);
  }
}

function sha1(bytes: string): string {
  return createHash('sha1').update(bytes, 'latin1').digest('hex');
}

function encodeJson(L: LuaState): number {
  try {
    lua.lua_pushstring(L, new Uint8Array(Buffer.from(JSON.stringify(jsonAt(L, 1)).replaceAll('/', '\\/'))));
    return 1;
  } catch (error) {
    return raise(L, error);
  }
}

function decodeJson(L: LuaState): number {
  try {
    pushJson(L, JSON.parse(toText(stringAt(L, 1))));
    return 1;
  } catch (error) {
    return raise(L, error);
  }
}

function raise(L: LuaState, error: unknown): never {
  lauxlib.luaL_where(L, 1);
  const where = stringAt(L, -1);
  lua.lua_pushstring(L, text(`${where}${error instanceof Error ? error.message : String(error)}`));
  return lua.lua_error(L);
}
