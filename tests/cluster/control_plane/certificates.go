package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// authority is a certificate authority of this control plane alone.
type authority struct {
	folder      string
	certificate *x509.Certificate
	key         crypto.Signer
}

// newAuthority writes ca.crt, and a key for service accounts, into a folder.
func newAuthority(folder string) (*authority, error) {
	key, err := newKey(filepath.Join(folder, "service-accounts.key"))
	if err != nil {
		return nil, err
	}
	a := &authority{folder: folder, key: key}
	template := certificate(pkix.Name{CommonName: "ftgen control plane"})
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage |= x509.KeyUsageCertSign
	a.certificate = template
	der, err := a.sign(template, key, "ca.crt")
	if err != nil {
		return nil, err
	}
	a.certificate, err = x509.ParseCertificate(der)
	return a, err
}

// issue writes NAME.crt and NAME.key for a subject; servers answer at loopback.
func (a *authority) issue(name string, subject pkix.Name) error {
	key, err := newKey(filepath.Join(a.folder, name+".key"))
	if err != nil {
		return err
	}
	template := certificate(subject)
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	template.DNSNames = []string{"localhost", "kubernetes.default.svc"}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	_, err = a.sign(template, key, name+".crt")
	return err
}

func (a *authority) sign(template *x509.Certificate, key crypto.Signer, file string) ([]byte, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	return der, write(filepath.Join(a.folder, file), "CERTIFICATE", der)
}

func certificate(subject pkix.Name) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	return &x509.Certificate{
		SerialNumber: serial, Subject: subject, KeyUsage: x509.KeyUsageDigitalSignature,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 1, 0),
	}
}

func newKey(file string) (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, write(file, "EC PRIVATE KEY", der)
}

func write(file, kind string, der []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// kubeconfig writes the configuration of an administrator, with all that it needs inside.
func (a *authority) kubeconfig(file, server string) error {
	config := api.NewConfig()
	config.Clusters["ftgen"] = &api.Cluster{Server: server, CertificateAuthority: filepath.Join(a.folder, "ca.crt")}
	config.AuthInfos["ftgen"] = &api.AuthInfo{
		ClientCertificate: filepath.Join(a.folder, "admin.crt"), ClientKey: filepath.Join(a.folder, "admin.key"),
	}
	config.Contexts["ftgen"] = &api.Context{Cluster: "ftgen", AuthInfo: "ftgen"}
	config.CurrentContext = "ftgen"
	if err := api.FlattenConfig(config); err != nil {
		return err
	}
	return clientcmd.WriteToFile(*config, file)
}
