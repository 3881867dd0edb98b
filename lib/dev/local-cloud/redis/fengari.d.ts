/** The few functions of fengari (Lua 5.3 in JavaScript) that the scripts need; the package has no types. */
declare module 'fengari' {
  export type LuaState = { readonly __lua: unique symbol };
  type Text = Uint8Array;
  export const lua: {
    readonly LUA_OK: number;
    readonly LUA_REGISTRYINDEX: number;
    readonly LUA_RIDX_GLOBALS: number;
    readonly LUA_TNIL: number;
    readonly LUA_TBOOLEAN: number;
    readonly LUA_TLIGHTUSERDATA: number;
    readonly LUA_TNUMBER: number;
    readonly LUA_TSTRING: number;
    readonly LUA_TTABLE: number;
    lua_type(L: LuaState, index: number): number;
    lua_gettop(L: LuaState): number;
    lua_settop(L: LuaState, index: number): void;
    lua_pop(L: LuaState, n: number): void;
    lua_absindex(L: LuaState, index: number): number;
    lua_pushnil(L: LuaState): void;
    lua_pushboolean(L: LuaState, value: boolean): void;
    lua_pushinteger(L: LuaState, value: number): void;
    lua_pushnumber(L: LuaState, value: number): void;
    lua_pushstring(L: LuaState, value: Text): void;
    lua_pushvalue(L: LuaState, index: number): void;
    lua_pushlightuserdata(L: LuaState, value: object): void;
    lua_pushcfunction(L: LuaState, f: (L: LuaState) => number): void;
    lua_toboolean(L: LuaState, index: number): boolean;
    lua_tonumber(L: LuaState, index: number): number;
    lua_isinteger(L: LuaState, index: number): boolean;
    lua_tostring(L: LuaState, index: number): Text;
    lua_createtable(L: LuaState, array: number, fields: number): void;
    lua_rawget(L: LuaState, index: number): number;
    lua_rawgeti(L: LuaState, index: number, n: number): number;
    lua_rawset(L: LuaState, index: number): void;
    lua_rawseti(L: LuaState, index: number, n: number): void;
    lua_next(L: LuaState, index: number): number;
    lua_setmetatable(L: LuaState, index: number): void;
    lua_pcall(L: LuaState, args: number, results: number, handler: number): number;
    lua_error(L: LuaState): never;
  };
  export const lauxlib: {
    luaL_newstate(): LuaState;
    luaL_loadbuffer(L: LuaState, code: Text, size: number, name: Text): number;
    luaL_ref(L: LuaState, table: number): number;
    luaL_where(L: LuaState, level: number): void;
    luaL_requiref(L: LuaState, name: Text, open: (L: LuaState) => number, global: number): void;
  };
  export const lualib: Record<
    'luaopen_base' | 'luaopen_table' | 'luaopen_string' | 'luaopen_math',
    (L: LuaState) => number
  >;
}
