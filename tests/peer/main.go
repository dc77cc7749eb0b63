// The peer of the benches: a sidecar of the usual kind, on client-go's leader election with its
// usual times.
//
// It does what the label-writing electors in the field do. It becomes a candidate once its pod is
// ready. When it has won it strips the label from the other pods of the group, then labels its own.
// On SIGTERM it releases the Lease, then strips its own label. When it has lost the Lease
// otherwise it strips its own label and exits, and the kubelet starts it again.
//
// The electors differ in a few rules, which these variables choose: STRIP_OTHERS=false leaves the
// labels of others alone, STRIP_FIRST=true strips the own label on SIGTERM before the Lease is
// released.
//
// Its log says when it renewed the Lease, and when it was told that it leads and does not, by
// CLOCK_BOOTTIME, which all processes of one machine share.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
	// How often the own pod is asked whether it is ready.
	readyPeriod = 500 * time.Millisecond
	// How long writing labels may take.
	labelDeadline = 5 * time.Second
	labelTries    = 3
)

// peer is one sidecar.
type peer struct {
	client    kubernetes.Interface
	namespace string
	pod       string
	group     string
	// Label selector of the pods of the group.
	selector string
	// Key and value of the active pod's label.
	key, value string
	// Whether a winner strips the others.
	stripsOthers bool
}

func main() {
	log.SetFlags(log.LstdFlags | log.Lmicroseconds)
	config, err := rest.InClusterConfig()
	if err != nil {
		log.Fatalf("read the cluster's configuration: %v", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		log.Fatalf("make a client: %v", err)
	}
	p := &peer{
		client:    client,
		namespace: need("POD_NAMESPACE"),
		pod:       need("POD_NAME"),
		group:     need("GROUP"),
		selector:  need("SELECTOR"),
		key:       need("ACTIVE_KEY"),
		value:     need("ACTIVE_VALUE"),

		stripsOthers: os.Getenv("STRIP_OTHERS") != "false",
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if !p.waitReady(ctx) {
		return
	}
	election, release := context.WithCancel(context.Background())
	defer release()
	context.AfterFunc(ctx, func() {
		if os.Getenv("STRIP_FIRST") == "true" {
			p.strip()
		}
		release()
	})
	p.elect(election)
	p.strip()
}

// elect contends for the Lease until the context ends, which releases it, or it is lost.
func (p *peer) elect(ctx context.Context) {
	meta := metav1.ObjectMeta{Namespace: p.namespace, Name: p.group}
	leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
		Lock: stamped{&resourcelock.LeaseLock{
			LeaseMeta:  meta,
			Client:     p.client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: p.pod},
		}},
		LeaseDuration:   leaseDuration,
		RenewDeadline:   renewDeadline,
		RetryPeriod:     retryPeriod,
		ReleaseOnCancel: true,
		Name:            p.group,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: p.lead,
			OnStoppedLeading: func() { stamp(bootMs(), "stopped leading") },
			OnNewLeader:      func(identity string) { log.Printf("leader is %s", identity) },
		},
	})
}

// stamped is a lock that tells of writes that succeeded, with the time before they were sent.
type stamped struct{ resourcelock.Interface }

func (s stamped) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	sent := bootMs()
	return told(sent, record, s.Interface.Create(ctx, record))
}

func (s stamped) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	sent := bootMs()
	return told(sent, record, s.Interface.Update(ctx, record))
}

func told(sent int64, record resourcelock.LeaderElectionRecord, err error) error {
	switch {
	case err != nil:
	case record.HolderIdentity == "":
		stamp(sent, "released")
	default:
		stamp(sent, "renewed")
	}
	return err
}

// stamp prints when something happened.
func stamp(ms int64, what string) {
	log.Printf("boot_ms=%d %s", ms, what)
}

// bootMs is the time since the machine started, milliseconds.
func bootMs() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		log.Fatalf("read CLOCK_BOOTTIME: %v", err)
	}
	return now.Nano() / int64(time.Millisecond)
}

// waitReady returns false if the context ended first.
func (p *peer) waitReady(ctx context.Context) bool {
	tick := time.NewTicker(readyPeriod)
	defer tick.Stop()
	for {
		pod, err := p.client.CoreV1().Pods(p.namespace).Get(ctx, p.pod, metav1.GetOptions{})
		if err == nil && ready(pod) {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

func ready(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// lead strips the others, if it does, then labels the own pod.
func (p *peer) lead(ctx context.Context) {
	stamp(bootMs(), "started leading")
	if p.stripsOthers {
		p.stripOthers(ctx)
	}
	p.label(ctx, p.pod, &p.value)
}

// stripOthers takes the label from every other pod of the group.
func (p *peer) stripOthers(ctx context.Context) {
	list := metav1.ListOptions{LabelSelector: p.selector}
	pods, err := p.client.CoreV1().Pods(p.namespace).List(ctx, list)
	if err != nil {
		log.Printf("list the pods of the group: %v", err)
		return
	}
	for _, pod := range pods.Items {
		if _, labelled := pod.Labels[p.key]; labelled && pod.Name != p.pod {
			p.label(ctx, pod.Name, nil)
		}
	}
}

// strip takes the label from the own pod.
func (p *peer) strip() {
	ctx, cancel := context.WithTimeout(context.Background(), labelDeadline)
	defer cancel()
	p.label(ctx, p.pod, nil)
}

// label writes a value, or takes the label away, and tries again a few times.
func (p *peer) label(ctx context.Context, pod string, value *string) {
	patch := map[string]any{"metadata": map[string]any{"labels": map[string]any{p.key: value}}}
	body, err := json.Marshal(patch)
	if err != nil {
		log.Fatalf("write a patch: %v", err)
	}
	for try := 1; try <= labelTries; try++ {
		pods := p.client.CoreV1().Pods(p.namespace)
		_, err = pods.Patch(ctx, pod, types.MergePatchType, body, metav1.PatchOptions{})
		if err == nil {
			log.Printf("label of %s: %s", pod, describe(value))
			return
		}
		log.Printf("label %s, try %d: %v", pod, try, err)
	}
}

func describe(value *string) string {
	if value == nil {
		return "none"
	}
	return *value
}

func need(name string) string {
	value := os.Getenv(name)
	if value == "" {
		fmt.Fprintf(os.Stderr, "%s is not set\n", name)
		os.Exit(2)
	}
	return value
}
