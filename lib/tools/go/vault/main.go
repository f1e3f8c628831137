// Command vault is HashiCorp's Vault with the plugins that this project uses: `-tags minimal` leaves out the clouds' libraries,
// which take most of the time that the whole program needs to compile, but also the two plugins that are added here.
package main

import (
	"os"
	"reflect"
	"unsafe"

	kubernetes "github.com/hashicorp/vault-plugin-auth-kubernetes"
	"github.com/hashicorp/vault/command"
	"github.com/hashicorp/vault/helper/builtinplugins"
	"github.com/hashicorp/vault/plugins/database/postgresql"
	"github.com/hashicorp/vault/sdk/logical"
)

func main() {
	add("credentialBackends", "kubernetes", logical.Factory(kubernetes.Factory))
	add("databasePlugins", "postgresql-database-plugin", builtinplugins.BuiltinFactory(postgresql.New))
	os.Exit(command.Run(os.Args[1:]))
}

// add registers a builtin plugin. Vault's own registry is filled only by its package, whose fields are private.
func add(kind, name string, factory any) {
	field := reflect.ValueOf(builtinplugins.Registry).Elem().FieldByName(kind)
	plugins := reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem()
	plugin := reflect.New(plugins.Type().Elem()).Elem()
	plugin.FieldByName("Factory").Set(reflect.ValueOf(factory))
	plugins.SetMapIndex(reflect.ValueOf(name), plugin)
}
