// gitops-health SCRIPT < OBJECTS prints what GitOps tools make of each object: a JSON list of objects comes in, a JSON
// list of verdicts goes out.
//
// Argo CD's verdict is that of its Lua engine, gopher-lua, in the sandbox that Argo CD makes: base, table, string and
// package only, one second, and a table with one of Argo CD's health statuses must come back. Argo CD itself answers
// for an object that is being deleted; the script is run here all the same. Flux's verdict is that of kstatus.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type verdict struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

type verdicts struct {
	Argo    verdict `json:"argo"`
	Kstatus verdict `json:"kstatus"`
}

var libraries = []struct {
	name string
	open lua.LGFunction
}{
	{lua.LoadLibName, lua.OpenPackage},
	{lua.BaseLibName, lua.OpenBase},
	{lua.TabLibName, lua.OpenTable},
	{lua.StringLibName, lua.OpenString},
}

var statuses = []string{"Unknown", "Progressing", "Healthy", "Suspended", "Degraded", "Missing"}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: gitops-health SCRIPT < OBJECTS")
	}
	script, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	var objects []json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		return err
	}
	all := make([]verdicts, 0, len(objects))
	for _, text := range objects {
		var object unstructured.Unstructured // whole numbers become int64, as they do in both tools
		if err := object.UnmarshalJSON(text); err != nil {
			return err
		}
		argo, err := judge(string(script), object.Object)
		if err != nil {
			return fmt.Errorf("%s: %w", object.GetName(), err)
		}
		result, err := status.Compute(&object)
		if err != nil {
			return fmt.Errorf("%s: kstatus: %w", object.GetName(), err)
		}
		all = append(all, verdicts{argo, verdict{string(result.Status), result.Message}})
	}
	return json.NewEncoder(os.Stdout).Encode(all)
}

func judge(script string, object map[string]any) (verdict, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, library := range libraries {
		if err := state.CallByParam(
			lua.P{Fn: state.NewFunction(library.open), Protect: true}, lua.LString(library.name),
		); err != nil {
			return verdict{}, err
		}
	}
	limited, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	state.SetContext(limited)
	state.SetGlobal("obj", value(state, object))
	if err := state.DoString(script); err != nil {
		return verdict{}, err
	}
	table, found := state.Get(-1).(*lua.LTable)
	if !found {
		return verdict{}, fmt.Errorf("the script returned a %s, not a table", state.Get(-1).Type())
	}
	health := verdict{lua.LVAsString(table.RawGetString("status")), lua.LVAsString(table.RawGetString("message"))}
	if !slices.Contains(statuses, health.Status) {
		return verdict{}, fmt.Errorf("%q is no health status of Argo CD", health.Status)
	}
	return health, nil
}

func value(state *lua.LState, from any) lua.LValue {
	switch from := from.(type) {
	case bool:
		return lua.LBool(from)
	case string:
		return lua.LString(from)
	case int64:
		return lua.LNumber(from)
	case float64:
		return lua.LNumber(from)
	case []any:
		table := state.CreateTable(len(from), 0)
		for _, item := range from {
			table.Append(value(state, item))
		}
		return table
	case map[string]any:
		table := state.CreateTable(0, len(from))
		for key, item := range from {
			table.RawSetString(key, value(state, item))
		}
		return table
	default:
		return lua.LNil
	}
}
