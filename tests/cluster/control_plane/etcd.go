package main

import (
	"flag"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"go.etcd.io/etcd/server/v3/embed"
)

// etcd runs one member without waiting for the disk: its data lives as long as the program.
func etcd() error {
	data := flag.String("data-dir", "", "")
	client := flag.String("client", "", "URL that it listens on for clients")
	peer := flag.String("peer", "", "URL that it would listen on for peers")
	flag.Parse()

	config := embed.NewConfig()
	config.Dir, config.LogLevel, config.UnsafeNoFsync = *data, "warn", true
	config.ListenClientUrls, config.ListenPeerUrls = one(*client), one(*peer)
	config.AdvertiseClientUrls, config.AdvertisePeerUrls = one(*client), one(*peer)
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	member, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	defer member.Close()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	select {
	case <-stop:
		return nil
	case err := <-member.Err():
		return err
	}
}

func one(text string) []url.URL {
	parsed, err := url.Parse(text)
	if err != nil {
		return nil
	}
	return []url.URL{*parsed}
}
