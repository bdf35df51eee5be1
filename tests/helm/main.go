// Compares what the chart renders with what `kubectl kustomize deploy` renders, without a cluster.
//
// Usage: check DEPLOY DEFAULT FULL NARROW: the folder `deploy`, and the chart rendered with its default values, with
// full-values.yaml and with narrow-values.yaml of the current folder; the latter is what its folder `narrow` is for `deploy`.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// The kinds that Kubernetes does not have, so that no type says what they may hold.
var foreign = []string{"monitoring.coreos.com/v1/ServiceMonitor"}

// What full-values.yaml gives to a label that no value may change.
const overruled = "overruled"

type object = map[string]any

// objects are the objects of a rendering, by what identifies them.
type objects map[string]object

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: check DEPLOY DEFAULT FULL NARROW")
		os.Exit(2)
	}
	if err := check(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(deploy, defaults, full, narrow string) error {
	kustomized, err := kustomize(deploy)
	if err != nil {
		return err
	}
	kustomizedNarrow, err := kustomize("narrow")
	if err != nil {
		return err
	}
	byNarrow, err := read(narrow)
	if err != nil {
		return err
	}
	if err := equal(kustomizedNarrow, byNarrow); err != nil {
		return fmt.Errorf("with narrow-values.yaml: %w", err)
	}
	if err := clusterScoped(kustomized, kustomizedNarrow, byNarrow); err != nil {
		return err
	}
	byDefault, err := read(defaults)
	if err != nil {
		return err
	}
	byValues, err := read(full)
	if err != nil {
		return err
	}
	if err := equal(kustomized, byDefault); err != nil {
		return err
	}
	if err := sameObjects(byDefault, byValues); err != nil {
		return err
	}
	return everyValue(filepath.Join(deploy, "helm", "serin", "values.yaml"), full)
}

func kustomize(folder string) (objects, error) {
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		return nil, err
	}
	text, err := resources.AsYaml()
	if err != nil {
		return nil, err
	}
	return parse(folder, text)
}

// clusterScoped checks that no overlay gives a namespace to what has none.
func clusterScoped(renderings ...objects) error {
	for _, found := range renderings {
		for identity, one := range found {
			kind, _ := one["kind"].(string)
			_, namespaced := one["metadata"].(object)["namespace"]
			if namespaced && (strings.HasPrefix(kind, "Cluster") || strings.HasPrefix(kind, "Validating") || strings.HasPrefix(kind, "Mutating")) {
				return fmt.Errorf("%s has a namespace, and its kind has none", identity)
			}
		}
	}
	return nil
}

func read(path string) (objects, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parse(path, text)
}

// parse reads a stream of YAML, and refuses what an API server would refuse by its schema: each object must fit its type.
func parse(path string, text []byte) (objects, error) {
	if err := apiextensions.AddToScheme(scheme.Scheme); err != nil {
		return nil, err
	}
	strict := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	found := objects{}
	for _, document := range bytes.Split(append([]byte("\n"), text...), []byte("\n---")) {
		var read object
		if err := yaml.UnmarshalStrict(document, &read); err != nil {
			return nil, fmt.Errorf("%s: %w in:\n%s", path, err, document)
		}
		if len(read) == 0 {
			continue
		}
		version, _ := read["apiVersion"].(string)
		kind, _ := read["kind"].(string)
		metadata, _ := read["metadata"].(object)
		name, _ := metadata["name"].(string)
		namespace, _ := metadata["namespace"].(string)
		if version == "" || kind == "" || name == "" {
			return nil, fmt.Errorf("%s: an object has no apiVersion, kind or name:\n%s", path, document)
		}
		identity := strings.Join([]string{version, kind, namespace, name}, "/")
		if _, twice := found[identity]; twice {
			return nil, fmt.Errorf("%s: %s is there twice", path, identity)
		}
		_, _, err := strict.Decode(document, nil, nil)
		if err != nil && !(runtime.IsNotRegisteredError(err) && slices.Contains(foreign, version+"/"+kind)) {
			return nil, fmt.Errorf("%s: %s: %w", path, identity, err)
		}
		found[identity] = read
	}
	return found, nil
}

// equal says where the chart's default differs: only in labels of the objects themselves, and the namespace is Helm's business.
func equal(kustomized, chart objects) error {
	var different []error
	for identity, want := range kustomized {
		if strings.HasPrefix(identity, "v1/Namespace/") {
			continue
		}
		got, ok := chart[identity]
		if !ok {
			different = append(different, fmt.Errorf("the chart does not render %s", identity))
			continue
		}
		different = append(different, differences(identity, unlabelled(want), unlabelled(got))...)
	}
	for identity := range chart {
		if _, ok := kustomized[identity]; !ok {
			different = append(different, fmt.Errorf("only the chart renders %s", identity))
		}
	}
	return errors.Join(different...)
}

func unlabelled(whole object) object {
	copied := runtime.DeepCopyJSON(whole)
	delete(copied["metadata"].(object), "labels")
	return copied
}

func byName(list []any) []any {
	name := func(item any) string { text, _ := item.(object)["name"].(string); return text }
	return slices.SortedFunc(slices.Values(list), func(a, b any) int { return strings.Compare(name(a), name(b)) })
}

func differences(path string, want, got any) (found []error) {
	if wanted, ok := want.([]any); ok {
		if rendered, ok := got.([]any); ok && len(rendered) == len(wanted) {
			// A patch of an overlay puts variables first; their order says nothing here.
			if strings.HasSuffix(path, ".env") {
				wanted, rendered = byName(wanted), byName(rendered)
			}
			for index := range wanted {
				found = append(found, differences(fmt.Sprintf("%s[%d]", path, index), wanted[index], rendered[index])...)
			}
			return found
		}
	}
	wanted, isObject := want.(object)
	rendered, both := got.(object)
	if !isObject || !both {
		if reflect.DeepEqual(want, got) {
			return nil
		}
		return []error{fmt.Errorf("%s: deploy has %v, the chart %v", path, want, got)}
	}
	for key, value := range wanted {
		found = append(found, differences(path+"."+key, value, rendered[key])...)
	}
	for key, value := range rendered {
		if _, ok := wanted[key]; !ok {
			found = append(found, fmt.Errorf("%s.%s: only the chart has it: %v", path, key, value))
		}
	}
	return found
}

// What full-values.yaml switches on, and what it switches off.
var (
	added   = []string{foreign[0], "networking.k8s.io/v1/NetworkPolicy"}
	removed = []string{
		"admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy//serin", "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicyBinding//serin",
		"admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy//serin-deletion",
		"admissionregistration.k8s.io/v1/ValidatingAdmissionPolicyBinding//serin-deletion",
		"admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy//serin-author",
		"admissionregistration.k8s.io/v1/ValidatingAdmissionPolicyBinding//serin-author",
		"rbac.authorization.k8s.io/v1/ClusterRole//serin-view", "rbac.authorization.k8s.io/v1/ClusterRole//serin-edit",
		"rbac.authorization.k8s.io/v1/ClusterRole//serin-metrics-reader",
	}
)

// under says whether an identity is one of these, or an object of one of these kinds.
func under(identity string, kinds []string) bool {
	return slices.ContainsFunc(kinds, func(kind string) bool { return identity == kind || strings.HasPrefix(identity, kind+"/") })
}

// sameObjects checks that values add and remove nothing but what they name. They are rendered without definitions, which no value changes.
func sameObjects(byDefault, byValues objects) error {
	defaults := maps.Clone(byDefault)
	maps.DeleteFunc(defaults, func(identity string, _ object) bool { return strings.Contains(identity, "/CustomResourceDefinition/") })
	withoutDefinitions := len(defaults)
	maps.DeleteFunc(defaults, func(identity string, _ object) bool { return under(identity, removed) })
	if withoutDefinitions != len(defaults)+len(removed) {
		return errors.New("by default the chart lacks something that full-values.yaml switches off")
	}
	for identity := range defaults {
		if _, ok := byValues[identity]; !ok {
			return fmt.Errorf("with full-values.yaml the chart does not render %s", identity)
		}
	}
	for identity := range byValues {
		if _, ok := defaults[identity]; !ok && !under(identity, added) {
			return fmt.Errorf("with full-values.yaml the chart also renders %s", identity)
		}
	}
	if len(byValues) != len(defaults)+len(added) {
		return errors.New("with full-values.yaml the chart lacks a ServiceMonitor or a NetworkPolicy")
	}
	return nil
}

// everyValue checks that full-values.yaml sets each value, to something else, and that all of it is rendered.
func everyValue(values, full string) error {
	var known, set object
	for path, into := range map[string]*object{values: &known, "full-values.yaml": &set} {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := yaml.UnmarshalStrict(text, into); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	text, err := os.ReadFile(full)
	if err != nil {
		return err
	}
	rendered := string(text)
	if strings.Contains(rendered, overruled) {
		return errors.New("podLabels replace a label that the Deployment selects by")
	}
	return covered("", known, set, rendered)
}

func covered(path string, known, set object, rendered string) error {
	for key, value := range known {
		here := path + "." + key
		inner, isObject := value.(object)
		other, both := set[key].(object)
		if reflect.DeepEqual(value, set[key]) || set[key] == nil {
			return fmt.Errorf("full-values.yaml does not change %s", here)
		}
		if isObject && both && len(inner) > 0 {
			if err := covered(here, inner, other, rendered); err != nil {
				return err
			}
		}
	}
	return shown(path, set, rendered)
}

func shown(path string, value any, rendered string) error {
	switch value := value.(type) {
	case object:
		for key, inner := range value {
			number, ok := inner.(float64)
			// As a field, or as a variable of the environment.
			asField, asVariable := fmt.Sprintf("%s: %v\n", key, number), fmt.Sprintf("value: \"%v\"\n", number)
			if ok && !strings.Contains(rendered, asField) && !strings.Contains(rendered, asVariable) {
				return fmt.Errorf("%s.%s is %v, and no object shows it", path, key, number)
			}
			if err := shown(path+"."+key, inner, rendered); err != nil {
				return err
			}
		}
	case []any:
		for _, inner := range value {
			if err := shown(path, inner, rendered); err != nil {
				return err
			}
		}
	case string:
		if value != overruled && !strings.Contains(rendered, value) {
			return fmt.Errorf("%s is %q, and no object shows it", path, value)
		}
	}
	return nil
}
