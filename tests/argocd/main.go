// Runs a health script of Argo CD in the interpreter that Argo CD has: health SCRIPT reads objects as JSON, one a line, and prints
// `STATUS: message` for each.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	lua "github.com/yuin/gopher-lua"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: health SCRIPT < OBJECTS")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(path string) error {
	script, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var object any
		if err := json.Unmarshal(lines.Bytes(), &object); err != nil {
			return err
		}
		health, err := health(string(script), object)
		if err != nil {
			return err
		}
		fmt.Println(health)
	}
	return lines.Err()
}

// health is what the script says of an object. As in Argo CD it has the base library, tables, strings and no more.
func health(script string, object any) (string, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, open := range []lua.LGFunction{lua.OpenPackage, lua.OpenBase, lua.OpenTable, lua.OpenString} {
		state.Push(state.NewFunction(open))
		state.Call(0, 0)
	}
	state.SetGlobal("obj", value(state, object))
	if err := state.DoString(script); err != nil {
		return "", err
	}
	answer, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return "", fmt.Errorf("the script answers with %s, not with a table", state.Get(-1).Type())
	}
	return fmt.Sprintf("%s: %s", answer.RawGetString("status"), answer.RawGetString("message")), nil
}

// value is a JSON value as Lua has it.
func value(state *lua.LState, json any) lua.LValue {
	switch json := json.(type) {
	case bool:
		return lua.LBool(json)
	case float64:
		return lua.LNumber(json)
	case string:
		return lua.LString(json)
	case []any:
		table := state.NewTable()
		for _, item := range json {
			table.Append(value(state, item))
		}
		return table
	case map[string]any:
		table := state.NewTable()
		for name, item := range json {
			table.RawSetString(name, value(state, item))
		}
		return table
	default:
		return lua.LNil
	}
}
